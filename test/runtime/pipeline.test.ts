/** What the runtime makes of the text of kernels. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '../../cli/device.ts';
import { inFours, unrolled, withSubgroups } from '../../runtime/pipeline.ts';

const test = suite('pipeline');
const { device } = await openDevice();

/** Lanes that each add to their elements, in two loops of which one is inside another. */
const loops = (count: number): string => `
const width = 2u;
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(2)
fn main(@builtin(local_invocation_id) own: vec3u) {
  for (var i = own.x; i < ${count}u; i += width) { //turns
    y[i] += i + 1u;
  }
  for (var j = 0u; j < 2u; j += 1u) {
    var k = 0u;
    for (var i_1 = own.x; i_1 < ${count}u; i_1 += width) { //turns
      let one = 1u;
      if (k >= 3u) {
        k -= 3u;
      }
      y[i_1] += 1000u * (k + one);
      k += 1u;
    }
  }
}`;

async function run(code: string): Promise<number[]> {
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
  const size = 256;
  const [buffer, staging] = [128 | 4, 1 | 8].map((usage) => device.createBuffer({ size, usage }));
  const entries = [{ binding: 0, resource: { buffer: buffer! } }];
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(buffer!, 0, staging!, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging!.mapAsync(1);
  return [...new Uint32Array(staging!.getMappedRange())];
}

test('an unrolled loop visits each element once, in order', async () => {
  for (const count of [0, 1, 2, 5, 7, 8, 9, 16, 33]) {
    const code = loops(count);
    assert.is(unrolled(code).split('3u * width').length, 3, 'both loops are unrolled');
    assert.equal(await run(unrolled(code)), await run(code), `${count} elements`);
  }
});

test('four elements are taken in at once by another type', () => {
  const code = 'alias some = f32; const many = 1u; //one\nalias mask = bool; //one\nfn f() {}\n';
  const wide = 'alias some = vec4f; const many = 4u; alias mask = vec4<bool>;\nfn f() {}\n';
  assert.is(inFours(code), wide);
});

test('the end of a module gives way to what subgroups offer', () => {
  const code = 'fn f() {}\n//subgroups: fn g() {}\n//portable\nfn h() {}\n';
  assert.is(withSubgroups(code, 'enable subgroups;\n'), 'enable subgroups;\nfn f() {}\nfn g() {}\n');
});

test.run();
