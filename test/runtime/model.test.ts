/** How kernels are spread over devices. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tilesInRow } from '../../compiler/kernel/gpu/build.ts';
import { type DeviceShape, planOf, shapeOf, type Work } from '../../runtime/model.ts';
import { mostWorkgroups } from '../../runtime/submit.ts';

const test = suite('model');
const limits = {
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
  maxComputeWorkgroupStorageSize: 16384,
};
const isPower = (n: number): boolean => Number.isInteger(Math.log2(n));
/** A device of each kind: one that tells nothing, a GPU, the vectors of a CPU, and the least there may be. */
const devices: readonly DeviceShape[] = [
  shapeOf(limits, 0),
  shapeOf(limits, 32),
  shapeOf(limits, 4),
  { lanes: 1, shared: 16, subgroup: 0 },
];
const gpu = devices[1]!;
const cpu = devices[2]!;
const work = { isAcross: false, shared: 3, splits: true };

test('workgroups are no larger than the device or the kernels allow', () => {
  assert.equal(shapeOf(limits, 4), { lanes: 256, shared: 4096, subgroup: 4 });
  assert.is(shapeOf({ ...limits, maxComputeWorkgroupSizeX: 100 }, 32).lanes, 64);
});

test('for any sizes, workgroups fit the device and its memory, and blocks are not empty', () => {
  for (const device of devices) {
    for (const kept of [0, 1, 3, 31, 33, 1000, 1e6]) {
      for (const over of [0, 1, 7, 49, 768, 10_000, 1e7]) {
        for (const isAcross of [false, true]) {
          for (const shared of [0, 1, 12, 64]) {
            for (const splits of [false, true]) {
              const given: Work = { kept, over, isAcross, shared, splits };
              const { width, together, blocks } = planOf(given, device);
              const where = JSON.stringify({ device, given, width, together, blocks });
              assert.ok(isPower(width) && width >= 1 && isPower(together) && together >= 1, where);
              assert.ok(width * together <= device.lanes, where);
              assert.ok(width * together === 1 || width * together * shared <= device.shared, where);
              assert.ok(Number.isInteger(blocks) && blocks >= 1 && blocks <= Math.max(1, over), where);
              assert.ok(splits || blocks === 1, where);
            }
          }
        }
      }
    }
  }
});

test('tiles are counted on from dimension to dimension as they are dispatched', () => {
  assert.is(tilesInRow, mostWorkgroups);
});

test('many small results share a workgroup, few large ones have one each, or several', () => {
  assert.equal(planOf({ ...work, kept: 4096, over: 768 }, gpu), { width: 16, together: 16, blocks: 1 });
  assert.is(planOf({ ...work, kept: 1e6, over: 1 }, gpu).width, 1);
  const { width, blocks } = planOf({ ...work, kept: 3, over: 524_288 }, gpu);
  assert.ok(width === 256 && blocks > 16, `${width} ${blocks}`);
});

test('where neighbours belong to different results, whole lines of memory are read', () => {
  assert.is(planOf({ ...work, isAcross: true, kept: 64, over: 10_000 }, gpu).together, 16);
  assert.is(planOf({ ...work, isAcross: true, kept: 4, over: 10_000 }, gpu).together, 4);
});

test('on a CPU a lane has a result to itself where there are enough', () => {
  assert.is(planOf({ ...work, kept: 64, over: 2500 }, cpu).width, 1);
  assert.is(planOf({ ...work, kept: 1, over: 2500 }, cpu).width, 4);
});

test.run();
