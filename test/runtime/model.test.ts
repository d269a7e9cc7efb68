/** How kernels are spread over devices. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { shapeOf, widthOf } from '../../runtime/model.ts';

const test = suite('model');
const limits = { maxComputeInvocationsPerWorkgroup: 1024, maxComputeWorkgroupSizeX: 1024 };
const isPower = (n: number): boolean => Number.isInteger(Math.log2(n));

test('workgroups have few subgroups, and never more lanes than the device or the kernels allow', () => {
  assert.equal(shapeOf(limits, 4), { lanes: 32, mostLanes: 256 });
  assert.equal(shapeOf(limits, 32), { lanes: 256, mostLanes: 256 });
  assert.equal(shapeOf(limits, 0), { lanes: 256, mostLanes: 256 });
  assert.equal(shapeOf(limits, 128), { lanes: 256, mostLanes: 256 });
  assert.equal(shapeOf({ ...limits, maxComputeWorkgroupSizeX: 100 }, 32), { lanes: 64, mostLanes: 64 });
});

test('widths are powers of two within the workgroup, for any sizes', () => {
  for (const lanes of [1, 32, 256]) {
    for (const kept of [0, 1, 3, 31, 33, 1000, 1e6]) {
      for (const over of [0, 1, 7, 49, 768, 10_000, 1e7]) {
        for (const isAcross of [false, true]) {
          const width = widthOf({ kept, over, isAcross }, { lanes, mostLanes: 256 });
          assert.ok(isPower(width) && width >= 1 && width <= lanes, `${lanes} ${kept} ${over}: ${width}`);
        }
      }
    }
  }
});

test('many small results share a workgroup, few large ones have one each', () => {
  const device = { lanes: 256, mostLanes: 256 };
  assert.is(widthOf({ kept: 4096, over: 768, isAcross: false }, device), 16);
  assert.is(widthOf({ kept: 3, over: 262_144, isAcross: false }, device), 256);
  assert.is(widthOf({ kept: 1e6, over: 1, isAcross: false }, device), 1);
});

test('where neighbours belong to different results, whole lines of memory are read', () => {
  const device = { lanes: 256, mostLanes: 256 };
  assert.is(widthOf({ kept: 64, over: 10_000, isAcross: true }, device), 8);
  assert.is(widthOf({ kept: 4, over: 10_000, isAcross: true }, device), 64);
});

test.run();
