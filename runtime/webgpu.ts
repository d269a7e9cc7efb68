/** A GPU as a device: buffers, and kernels put into its queue without waiting for them. */
import { makeRunFunction, type RunFunction } from './device.ts';
import { fail, NormgradError } from './error.ts';
import type { Backend, Pending } from './execute.ts';
import { type Launch, launchesOf } from './launch.ts';
import { shapeOf } from './model.ts';
import { makePipelines } from './pipeline.ts';
import { makePool } from './pool.ts';
import { makeDispatch, submit } from './submit.ts';
import { checkShape, DeviceTensor, type Tensor } from './tensor.ts';

export interface WebGpuDevice {
  readonly kind: 'webgpu';
  readonly device: GPUDevice;
  /**
   * A tensor of the given row-major data, rounded to f32, or zeros. Arrays are uploaded. A GPUBuffer is used itself,
   * without a copy, and not destroyed by `dispose`: it needs the usages STORAGE, and COPY_SRC for `read`, and a size
   * that is a multiple of 4 bytes, holds the shape and is not 0. Throws `shape`, `dtype` for data in f64, `limit` and
   * `device-lost`; that there was no memory for it, the next call or `read` says.
   */
  tensor(shape: readonly number[], data?: Float32Array | readonly number[] | GPUBuffer): Tensor;
  /**
   * Runs forward; resolves when the kernels are in the queue, in the order of the calls. States are updated in place.
   * Inputs are kept by reference, not copied: leave them unchanged until the last backward. Rejects with a
   * `NormgradError` of any code: `device-lost` once the device is lost, `kernel` where it refuses what is generated.
   */
  readonly run: RunFunction<'async'>;
}

// Values of GPUBufferUsage and GPUMapMode, which Node has not as globals.
const tensorUsage = 128 | 4 | 8; // STORAGE, COPY_SRC and COPY_DST
const stagingUsage = 1 | 8; // MAP_READ and COPY_DST
const mapRead = 1;

export interface WebGpuOptions {
  /** How many bytes of freed tensors are kept for new ones of the same size; 256 MiB by default. */
  readonly keep?: number;
}

/**
 * The device takes part in no other way than through its queue: it can be shared with other code. Throws a
 * `NormgradError`, `missing`, where no device is given.
 */
export function webgpu(device: GPUDevice, options?: WebGpuOptions | null): WebGpuDevice {
  if (!device?.limits) fail('missing', 'no GPUDevice was given; await requestDevice()');
  const pipelines = makePipelines(device);
  const pool = makePool(options?.keep ?? 2 ** 28);
  // Not every implementation has it yet, nor every adapter subgroups.
  const info = device.adapterInfo as Partial<GPUAdapterInfo> | undefined;
  const { limits } = device;
  const shape = shapeOf(limits, info?.subgroupMaxSize ?? 0);
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

  /** A buffer that was used before, if there is one, with whatever in it unless data or zeros are wanted. */
  const allocate = (length: number, content?: 0 | Float32Array | readonly number[]) => {
    const size = paddedBytes(length);
    const limit = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
    if (size > limit)
      fail('limit', `a tensor of ${size} bytes is larger than the ${limit} the device can bind`);
    const used = pool.take(size);
    const buffer = used ?? device.createBuffer({ size, usage: tensorUsage });
    if (content) device.queue.writeBuffer(buffer, 0, Float32Array.from(content));
    else if (used && content === 0) submit(device, (encoder) => encoder.clearBuffer(used));
    return buffer;
  };
  /** Buffers for which the device had no memory, and which must not be used again. */
  const broken = new WeakSet<GPUBuffer>();
  const give = (buffer: GPUBuffer) => {
    if (broken.has(buffer)) buffer.destroy();
    else pool.give(buffer);
  };
  const backend: Backend<Launch> = {
    kernelsOf: ({ gpu }, dtype, numbers) =>
      dtype === 'f32' ? gpu?.flatMap((kernel) => launchesOf(kernel, shape, numbers)) : undefined,
    allocate: (length, _, isZero) => allocate(length, isZero ? 0 : undefined),
    scratch: (length) => allocate(length),
    storageOf: (handle) => handle as GPUBuffer,
    free: (handle) => give(handle as GPUBuffer),
    read: async (storage, length) => {
      checkLost();
      if (length === 0) return new Float32Array();
      const [staging, outcome] = watch(device, () => {
        const size = 4 * length;
        const copy = device.createBuffer({ size, usage: stagingUsage });
        submit(device, (encoder) => encoder.copyBufferToBuffer(storage as GPUBuffer, 0, copy, 0, size));
        return copy;
      });
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
    dispatch: makeDispatch(device, pipelines),
  };

  let turn: Promise<unknown> = Promise.resolve();
  const perform = async <R>(plan: () => Pending<Launch, R>): Promise<R> => {
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
      // what was discarded may have no memory, and the device may need what is kept
      pool.clear();
      checkLost();
      throw error;
    }
  };
  return {
    kind: 'webgpu',
    device,
    tensor: (shape, data) => {
      checkLost();
      if (isBuffer(data)) return adopt(backend, shape, data);
      if (data instanceof Float64Array) fail('dtype', 'WebGPU has no f64: pass a Float32Array');
      const length = checkShape(shape, data);
      const [buffer, outcome] = watch(device, () => allocate(length, data ?? 0));
      uploads.push(outcome);
      outcome.then((error) => error && broken.add(buffer));
      return new DeviceTensor(backend, buffer, [...shape], 'f32');
    },
    run: makeRunFunction<Launch, 'async'>(backend, perform),
  };
}

type Outcome = Promise<NormgradError | null | undefined>;

/** Does something now and says later whether the device could do it. */
function watch<R>(device: GPUDevice, f: () => R): readonly [R, Outcome] {
  const pop = (code: 'out-of-memory' | 'kernel'): Outcome =>
    device.popErrorScope().then(
      (error) => error && new NormgradError(code, error.message),
      () => null, // a lost device, which has its own error
    );
  device.pushErrorScope('validation');
  device.pushErrorScope('out-of-memory');
  const settle = async () => {
    const errors = await Promise.all([pop('out-of-memory'), pop('kernel')]);
    return errors.find((e) => e);
  };
  try {
    return [f(), settle()];
  } catch (error) {
    settle();
    throw error;
  }
}

/** WebGPU binds no empty buffers, and kernels may read the last vec4 whole. */
const paddedBytes = (length: number): number => Math.max(16, Math.ceil(length / 4) * 16);

const isBuffer = (data: unknown): data is GPUBuffer => !!(data as GPUBuffer | undefined)?.mapState;

function adopt(backend: Backend<Launch>, shape: readonly number[], buffer: GPUBuffer): Tensor {
  const length = checkShape(shape);
  if (buffer.size < 4 * length)
    fail('shape', `shape [${shape}] does not fit a buffer of ${buffer.size} bytes`);
  return new DeviceTensor(backend, buffer, shape, 'f32', true);
}
