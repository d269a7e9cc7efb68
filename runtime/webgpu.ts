/** A GPU as a device: buffers, and kernels put into its queue without waiting for them. */
import type { GpuKernelDescription, Numbers } from './description.ts';
import { makeRunFunction, type RunFunction } from './device.ts';
import { fail, NormgradError } from './error.ts';
import type { Backend, Pending, Step } from './execute.ts';
import { makePipelines } from './pipeline.ts';
import { checkShape, makeTensor, type Tensor } from './tensor.ts';

export interface WebGpuDevice {
  readonly kind: 'webgpu';
  readonly device: GPUDevice;
  /**
   * A tensor of the given row-major data, rounded to f32, or zeros. Arrays are uploaded. A GPUBuffer is used itself,
   * without a copy, and not destroyed by `dispose`: it needs the usages STORAGE, and COPY_SRC for `read`, and a size
   * that is a multiple of 4 bytes, holds the shape and is not 0.
   */
  tensor(shape: readonly number[], data?: Float32Array | readonly number[] | GPUBuffer): Tensor;
  /**
   * Runs forward; resolves when the kernels are in the queue, in the order of the calls. States are updated in place.
   * Inputs are kept by reference, not copied: leave them unchanged until the last backward. Rejects with a
   * `NormgradError`, also once the device is lost.
   */
  readonly run: RunFunction<'async'>;
}

// The values of GPUBufferUsage and GPUMapMode, which Node has not as globals.
const usage = { mapRead: 1, copySrc: 4, copyDst: 8, uniform: 64, storage: 128 };
const mapRead = 1;

/** The device takes part in no other way than through its queue: it can be shared with other code. */
export function webgpu(device: GPUDevice): WebGpuDevice {
  const pipelines = makePipelines(device);
  const { limits } = device;
  let lost: GPUDeviceLostInfo | undefined;
  device.lost.then((info) => {
    lost = info;
  });
  const checkLost = () => {
    if (lost) fail('device-lost', `the GPU device was lost (${lost.reason}): ${lost.message}`);
  };

  /** Outcomes of uploads, which nobody has waited for yet. */
  let uploads: Outcome[] = [];
  /** Waits for what the device has to say, first of all whether it was lost: other errors may follow from that. */
  const settle = async (outcome: Outcome) => {
    const outcomes = [...uploads, outcome];
    uploads = [];
    const error = (await Promise.all(outcomes)).find((e) => e);
    checkLost();
    if (error) throw error;
  };

  const allocate = (length: number, mapped = false): GPUBuffer => {
    const size = paddedBytes(length);
    const limit = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
    if (size > limit)
      fail('limit', `a tensor of ${size} bytes is larger than the ${limit} the device can bind`);
    const flags = usage.storage | usage.copySrc | usage.copyDst;
    return device.createBuffer({ size, usage: flags, mappedAtCreation: mapped });
  };
  const backend: Backend<GpuKernelDescription> = {
    kernelsOf: (direction) => direction.gpu,
    allocate: (length) => allocate(length),
    scratch: (length) => allocate(length),
    freeScratch: (handle) => (handle as GPUBuffer).destroy(),
    storageOf: (handle) => handle as GPUBuffer,
    free: (handle) => (handle as GPUBuffer).destroy(),
    read: async (storage, length) => {
      checkLost();
      if (length === 0) return new Float32Array();
      const [staging, outcome] = watch(device, () => copyOut(device, storage as GPUBuffer, 4 * length));
      try {
        await settle(outcome);
        await staging.mapAsync(mapRead);
        return new Float32Array(staging.getMappedRange().slice(0));
      } catch (error) {
        checkLost();
        throw error;
      } finally {
        staging.destroy();
      }
    },
    dispatch: (steps) => submit(device, steps, (kernel) => pipelines.get(kernel)),
  };

  let turn: Promise<unknown> = Promise.resolve();
  const perform = async <R>(plan: () => Pending<GpuKernelDescription, R>): Promise<R> => {
    checkLost();
    const pending = plan();
    const ready = pipelines.prepare(pending.kernels);
    // Calls reach the queue in the order they were made, whichever pipeline compiles first.
    const mine = turn.then(async () => {
      await ready;
      checkLost();
      return watch(device, pending.execute);
    });
    ready.catch(() => {});
    turn = mine.catch(() => {});
    try {
      const [result, outcome] = await mine;
      await settle(outcome);
      return result;
    } catch (error) {
      pending.discard();
      checkLost();
      throw error;
    }
  };
  return {
    kind: 'webgpu',
    device,
    tensor: (shape, data) => {
      checkLost();
      if (data && 'mapState' in data) return adopt(backend, shape, data);
      if (data instanceof Float64Array) fail('dtype', 'WebGPU has no f64: pass a Float32Array');
      const length = checkShape(shape, data?.length);
      const [buffer, outcome] = watch(device, () => {
        const made = allocate(length, data !== undefined);
        if (data) new Float32Array(made.getMappedRange()).set(data);
        if (data) made.unmap();
        return made;
      });
      uploads.push(outcome);
      return makeTensor(backend, buffer, shape, 'f32');
    },
    run: makeRunFunction<GpuKernelDescription, 'async'>(backend, perform),
  };
}

type Outcome = Promise<NormgradError | undefined>;

/** Does something now and says later whether the device could do it. */
function watch<R>(device: GPUDevice, f: () => R): readonly [R, Outcome] {
  const codes = ['out-of-memory', 'validation'] as const;
  const pop = (code: (typeof codes)[number]): Outcome =>
    device.popErrorScope().then(
      (error) =>
        error ? new NormgradError(code === 'validation' ? 'kernel' : code, error.message) : undefined,
      () => undefined, // a lost device, which has its own error
    );
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  let outcomes: Outcome[] = [];
  let result: R;
  try {
    result = f();
  } finally {
    outcomes = codes.map(pop);
  }
  return [result, Promise.all(outcomes).then((errors) => errors.find((e) => e))];
}

/** WebGPU binds no empty buffers, and kernels may read the last vec4 whole. */
const paddedBytes = (length: number): number => Math.max(16, Math.ceil(length / 4) * 16);

function adopt(backend: Backend<GpuKernelDescription>, shape: readonly number[], buffer: GPUBuffer): Tensor {
  const length = checkShape(shape);
  if (buffer.size < 4 * length)
    fail('shape', `shape [${shape}] does not fit a buffer of ${buffer.size} bytes`);
  return makeTensor(backend, buffer, shape, 'f32', true);
}

function copyOut(device: GPUDevice, source: GPUBuffer, size: number): GPUBuffer {
  const staging = device.createBuffer({ size, usage: usage.mapRead | usage.copyDst });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(source, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  return staging;
}

function submit(
  device: GPUDevice,
  steps: readonly Step<GpuKernelDescription>[],
  pipelineOf: (kernel: GpuKernelDescription) => GPUComputePipeline,
): void {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  const temporary: GPUBuffer[] = [];
  for (const { kernel, handles, numbers } of steps) {
    const [x, y] = foldWorkgroups(kernel, numbers, device.limits.maxComputeWorkgroupsPerDimension);
    if (x === 0) continue;
    const pipeline = pipelineOf(kernel);
    const buffers = [...(handles as GPUBuffer[])];
    if (kernel.uniforms.length > 0) {
      const uniforms = uniformBuffer(device, kernel, numbers);
      temporary.push(uniforms);
      buffers.push(uniforms);
    }
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(x, y);
  }
  pass.end();
  device.queue.submit([encoder.finish()]);
  // Work in the queue keeps what it uses.
  for (const buffer of temporary) buffer.destroy();
}

/** Workgroups in x and y. The kernel numbers them `x + y * num_workgroups.x` and ignores those past its count. */
function foldWorkgroups(
  kernel: GpuKernelDescription,
  numbers: Numbers,
  limit: number,
): readonly [number, number] {
  const count = kernel.workgroups(numbers);
  if (count === 0) return [0, 0];
  const x = Math.min(count, limit);
  const y = Math.ceil(count / x);
  if (y > limit)
    throw new NormgradError('limit', `${kernel.name} needs ${count} workgroups: the tensors are too large`);
  return [x, y];
}

/** A struct of 4-byte members in order, padded to 16 bytes. */
function uniformBuffer(device: GPUDevice, { uniforms }: GpuKernelDescription, numbers: Numbers): GPUBuffer {
  const size = paddedBytes(uniforms.length);
  const buffer = device.createBuffer({ size, usage: usage.uniform, mappedAtCreation: true });
  const view = new DataView(buffer.getMappedRange());
  uniforms.forEach(({ name, type }, i) => {
    if (type === 'u32') view.setUint32(4 * i, numbers[name]!, true);
    else view.setFloat32(4 * i, numbers[name]!, true);
  });
  buffer.unmap();
  return buffer;
}
