import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '../../cli/device.ts';
import {
  type GpuKernelDescription,
  type LayoutDescription,
  type OpDescription,
  webgpu,
} from '../../runtime/index.ts';
import { near, rejects } from './near.ts';
import { type ScaleTypes, scale } from './scale.ts';

const { device: gpuDevice } = await openDevice();
const device = webgpu(gpuDevice);
const attributes = { g: 2, training: false, factor: 3 } as const;

/** The number of calls of a method of the device while `f` runs, if `counts` says so of its argument. */
async function count<K extends 'createBuffer' | 'createBindGroup' | 'createComputePipelineAsync'>(
  method: K,
  counts: (argument: Parameters<GPUDevice[K]>[0]) => boolean,
  f: () => Promise<unknown>,
): Promise<number> {
  let calls = 0;
  const original = gpuDevice[method].bind(gpuDevice) as (argument: never) => unknown;
  const counted = (argument: never) => {
    if (counts(argument)) calls++;
    return original(argument);
  };
  Object.assign(gpuDevice, { [method]: counted });
  try {
    await f();
  } finally {
    Reflect.deleteProperty(gpuDevice, method);
  }
  return calls;
}

/** The op with kernels of its default layout changed. */
function changed(change: (kernel: GpuKernelDescription) => GpuKernelDescription): OpDescription<ScaleTypes> {
  const layout = scale.variants['']!.layouts['n g k s']!;
  const forward = { gpu: layout.forward.gpu!.map(change) };
  const layouts: Record<string, LayoutDescription> = { 'n g k s': { ...layout, forward } };
  return { ...scale, variants: { '': { layouts } } };
}

const wgsl = (text: string) => new URL(`data:text/plain,${encodeURIComponent(text)}`);

test('nothing is read back, except by read', async () => {
  const isReadBack = ({ usage }: GPUBufferDescriptor) => (usage & 1) !== 0;
  const reads = await count('createBuffer', isReadBack, async () => {
    const run = await device.run(scale, { x: device.tensor([1, 2], [1, 2]) }, attributes);
    await run.backward({ y: run.outputs.y });
  });
  assert.is(reads, 0);
  assert.is(await count('createBuffer', isReadBack, () => device.tensor([1]).read()), 1);
  assert.is(await count('createBuffer', isReadBack, () => device.tensor([0]).read()), 0);
});

test('a pipeline is compiled once a source', async () => {
  const call = (op: OpDescription<ScaleTypes>) =>
    device.run(op, { x: device.tensor([1, 2, 2], [1, 2, 3, 4]) }, attributes);
  const compiled = (op: OpDescription<ScaleTypes>) =>
    count(
      'createComputePipelineAsync',
      () => true,
      () => call(op),
    );
  await call(scale);
  assert.is(await compiled(scale), 0);
  assert.is(await compiled(changed((kernel) => ({ ...kernel }))), 0, 'another description of the same text');
  const commented = (kernel: GpuKernelDescription) => ({
    ...kernel,
    source: new URL(`${kernel.source}%0A//`),
  });
  assert.is(await compiled(changed(commented)), 2);
});

test('calls that start together share a compilation', async () => {
  const op = changed((kernel) => ({ ...kernel, source: new URL(`${kernel.source}%0A//2`) }));
  const x = device.tensor([1, 2], [1, 2]);
  const calls = () => Promise.all([1, 2, 3].map(() => device.run(op, { x }, attributes)));
  assert.is(await count('createComputePipelineAsync', () => true, calls), 2);
});

test('no device', () => {
  for (const none of [undefined, null, Promise.resolve(gpuDevice)])
    assert.throws(() => webgpu(none as never), /no GPUDevice was given; await requestDevice\(\)/);
});

test('no options, however that is said', async () => {
  for (const none of [undefined, null, {}])
    assert.equal([...(await webgpu(gpuDevice, none).tensor([1], [2]).read())], [2]);
});

test('more workgroups than one dimension can hold', async () => {
  const length = 16 * 65535 + 16; // 16 elements a workgroup of a software device
  const data = Float32Array.from({ length }, (_, i) => i % 1000);
  const run = await device.run(
    scale,
    { x: device.tensor([1, 1, length], data) },
    { g: 1, training: false, factor: 2 },
  );
  const y = await run.outputs.y.read();
  assert.ok(y.every((value, i) => value === 2 * data[i]!));
});

test('more workgroups than two dimensions can hold', async () => {
  const op = changed((kernel) => ({ ...kernel, tiles: { ...kernel.tiles, kept: () => 2 ** 42 } }));
  const call = device.run(op, { x: device.tensor([1, 2]) }, attributes);
  await rejects(call, 'limit', 'the tensors are too large');
});

test('buffers past the limit are an error before anything is allocated', async () => {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpuDevice.limits;
  const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  assert.throws(() => device.tensor([limit / 4 + 1]), new RegExp(`than the ${limit} the device can bind`));
  const small = await gpuDevice.createBuffer({ size: 16, usage: 128 });
  assert.throws(() => device.tensor([5], small), /shape \[5\] does not fit a buffer of 16 bytes/);
});

test('a kernel that does not compile', async () => {
  const op = changed((kernel) => ({ ...kernel, source: wgsl('fn main( {') }));
  const call = device.run(op, { x: device.tensor([1, 2]) }, attributes);
  await rejects(call, 'kernel', 'sums does not compile');
  const noEntry = changed((kernel) => ({ ...kernel, entryPoint: 'other' }));
  await rejects(device.run(noEntry, { x: device.tensor([1, 2]) }, attributes), 'kernel', 'does not compile');
});

test('a kernel with more buffers than the device allows', async () => {
  const many = Array.from(
    { length: 200 },
    () => scale.variants['']!.layouts['n g k s']!.forward.gpu![0]!.bindings[0]!,
  );
  const op = changed((kernel) => ({ ...kernel, bindings: many }));
  const call = device.run(op, { x: device.tensor([1, 2]) }, attributes);
  await rejects(
    call,
    'limit',
    'sums binds 200 buffers, but the device was requested with maxStorageBuffersPerShaderStage',
  );
});

test('a source that cannot be loaded', async () => {
  const op = changed((kernel) => ({ ...kernel, source: new URL('file:///nowhere/kernel.wgsl') }));
  try {
    await device.run(op, { x: device.tensor([1, 2]) }, attributes);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, 'nowhere');
  }
});

test('a GPU buffer is used itself and stays its owner’s', async () => {
  const buffer = gpuDevice.createBuffer({ size: 16, usage: 128 | 4 | 8 });
  gpuDevice.queue.writeBuffer(buffer, 0, Float32Array.of(1, 2, 3, 4));
  const x = device.tensor([1, 2, 2], buffer);
  assert.is(x.storage, buffer);
  const run = await device.run(scale, { x }, attributes);
  await near(run.outputs.y, [1, 2, 2], [3, 6, 9, 12]);
  x.dispose();
  await near(device.tensor([4], buffer), [4], [1, 2, 3, 4]);
});

test('a buffer that cannot be bound is an error from the device', async () => {
  const x = device.tensor([1, 2], gpuDevice.createBuffer({ size: 16, usage: 8 }));
  await rejects(device.run(scale, { x }, attributes), 'kernel', 'sage');
  await near(device.tensor([1], [1]), [1], [1]);
});

test('running out of memory is an error, of the call or of the upload before it', async () => {
  const x = device.tensor([1, 2], [1, 2]);
  await x.read();
  const full = async () => ({ message: 'no memory left' }) as GPUError;
  Object.assign(gpuDevice, { popErrorScope: full });
  const call = device.run(scale, { x }, attributes);
  await rejects(call, 'out-of-memory', 'no memory left');
  device.tensor([1]);
  Reflect.deleteProperty(gpuDevice, 'popErrorScope');
  await rejects(x.read(), 'out-of-memory', 'no memory left');
  await near(x, [1, 2], [1, 2]);
});

test('a steady loop creates no buffer and no bind group', async () => {
  const data = Float32Array.from({ length: 8 }, (_, i) => i);
  const step = async (k: number) => {
    const x = device.tensor([2, 2, 2], data);
    const run = await device.run(scale, { x }, attributes);
    const { x: dx } = await run.backward({ y: run.outputs.y });
    await near(
      run.outputs.y,
      [2, 2, 2],
      Array.from(data, (v) => 3 * v),
    );
    await near(
      dx,
      [2, 2, 2],
      Array.from(data, (v) => 9 * v),
    );
    for (const tensor of [x, dx, ...Object.values(run.outputs)]) tensor.dispose();
    run.dispose();
    data[0] = k;
  };
  // tensors of one size may take turns with their buffers
  for (let k = 0; k < 16; k++) await step(k);
  const isRead = ({ usage }: GPUBufferDescriptor) => (usage & 1) !== 0;
  const made = (method: 'createBuffer' | 'createBindGroup') =>
    count(
      method,
      (what) => method === 'createBindGroup' || !isRead(what as GPUBufferDescriptor),
      () => step(9),
    );
  assert.is(await made('createBuffer'), 0);
  assert.is(await made('createBindGroup'), 0);
});

test('memory that is used again reads as zeros where zeros are asked for', async () => {
  for (let k = 0; k < 3; k++) {
    device.tensor([4], [1, 2, 3, 4]).dispose();
    const zeros = device.tensor([4]);
    await near(zeros, [4], [0, 0, 0, 0]);
    zeros.dispose();
  }
});

test('no more freed memory is kept than asked for', async () => {
  const frugal = webgpu(gpuDevice, { keep: 64 });
  const tensors = [1, 2, 3].map((v) => frugal.tensor([8], Array(8).fill(v)));
  const buffers = tensors.map(({ storage }) => storage);
  for (const tensor of tensors) tensor.dispose();
  const again = [1, 2, 3].map(() => frugal.tensor([8]).storage);
  assert.equal(
    buffers.map((buffer) => again.includes(buffer)),
    [false, false, true],
  );
});

test('f64 data is refused', () => {
  const data = Float64Array.of(1) as unknown as Float32Array;
  assert.throws(() => device.tensor([1], data), /WebGPU has no f64/);
});

test('a lost device', async () => {
  const { device: mortal } = await openDevice();
  const doomed = webgpu(mortal);
  const x = doomed.tensor([1, 2], [1, 2]);
  const run = await doomed.run(scale, { x }, attributes);
  const before = doomed.run(scale, { x }, attributes).then((other) => other.outputs.y.read());
  mortal.destroy();
  await rejects(before, 'device-lost', 'the GPU device was lost (destroyed)');
  await rejects(x.read(), 'device-lost', 'the GPU device was lost (destroyed)');
  await rejects(run.backward({ y: run.outputs.y }), 'device-lost', 'the GPU device was lost');
  await rejects(doomed.run(scale, { x }, attributes), 'device-lost', 'the GPU device was lost');
});

test.run();
