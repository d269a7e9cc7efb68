/** The CPU as a device: typed arrays, and plain functions over them. */
import type { CpuKernelDescription } from './description.ts';
import { makeRunFunction, type RunFunction } from './device.ts';
import { fail } from './error.ts';
import type { Backend, Pending } from './execute.ts';
import { checkShape, type Data, type Dtype, makeTensor, type Tensor } from './tensor.ts';

export interface CpuDevice {
  readonly kind: 'cpu';
  /**
   * A tensor of the given row-major data, or zeros. A typed array of the tensor's type is used itself, without a copy:
   * states are updated in it. Anything else is copied. The type is by default f64 for a Float64Array, else f32.
   */
  tensor(shape: readonly number[], data?: Data | readonly number[], dtype?: Dtype): Tensor;
  /**
   * Runs forward. States are updated in place. Inputs are kept by reference, not copied: leave them unchanged until the
   * last backward. Rejects with a `NormgradError`.
   */
  readonly run: RunFunction<'async'>;
  /** The same without promises, and so are the run's `backward` and the others. */
  readonly runSync: RunFunction<'sync'>;
}

export function cpu(): CpuDevice {
  const backend: Backend<CpuKernelDescription> = {
    scratch: 'f64',
    kernelsOf: (direction) => direction.cpu,
    allocate,
    read: async (storage) => (storage as Data).slice(),
    free: () => {},
    dispatch: (steps) => {
      for (const { kernel, storages, numbers } of steps) {
        const run = kernel.run as (...args: unknown[]) => void;
        run(...storages, ...kernel.uniforms.map(({ name }) => numbers[name]));
      }
    },
  };
  type Plan<R> = () => Pending<CpuKernelDescription, R>;
  return {
    kind: 'cpu',
    tensor: (shape, data, dtype = data instanceof Float64Array ? 'f64' : 'f32') => {
      const length = checkShape(shape, data?.length);
      const wanted = dtype === 'f64' ? Float64Array : Float32Array;
      const storage = data instanceof wanted ? data : data ? wanted.from(data) : allocate(length, dtype);
      return makeTensor(backend, storage, shape, dtype);
    },
    run: makeRunFunction<CpuKernelDescription, 'async'>(backend, async <R>(plan: Plan<R>) =>
      plan().execute(),
    ),
    runSync: makeRunFunction<CpuKernelDescription, 'sync'>(backend, <R>(plan: Plan<R>) => plan().execute()),
  };
}

function allocate(length: number, dtype: Dtype): Data {
  try {
    return dtype === 'f64' ? new Float64Array(length) : new Float32Array(length);
  } catch {
    return fail('out-of-memory', `no memory for ${length} elements of type ${dtype}`);
  }
}
