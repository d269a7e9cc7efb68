/** The CPU as a device: WebAssembly kernels on several threads, and plain functions where there are none. */
import type { CpuKernelDescription, WasmKernelDescription } from './description.ts';
import { makeRunFunction, type RunFunction } from './device.ts';
import { fail } from './error.ts';
import type { Backend, Pending } from './execute.ts';
import type { Memory } from './memory.ts';
import { checkShape, type Data, type Dtype, makeTensor, type Tensor } from './tensor.ts';
import { type Machine, makeRunner, openMachine, type WasmRunner } from './wasm.ts';

export interface CpuOptions {
  /** How many threads work on one call, this one included; by default all that the machine has, but no more than 8. */
  readonly threads?: number;
  /**
   * `typescript` runs plain functions only. By default f32 runs in WebAssembly, where it was generated and the host has
   * shared memory; f64 never does.
   */
  readonly target?: 'wasm' | 'typescript';
}

export interface CpuDevice {
  readonly kind: 'cpu';
  /** What f32 runs on. */
  readonly target: 'wasm' | 'typescript';
  readonly threads: number;
  /** Bytes of f32 data that were copied into the memory that WebAssembly sees. */
  readonly copied: number;
  /**
   * A tensor of the given row-major data, or zeros. The type is by default f64 for a Float64Array, else f32. With target
   * `wasm`, f32 data is copied into memory that WebAssembly sees, unless it is the `storage` of a tensor of this device;
   * states are updated there: see the tensor's `storage` or `read`. Otherwise a typed array of the tensor's type is used
   * itself, and states are updated in it.
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

type CpuKernel = CpuKernelDescription | WasmKernelDescription;

export function cpu(options: CpuOptions = {}): CpuDevice {
  const threads = options.threads ?? defaultThreads();
  if (!Number.isInteger(threads) || threads < 1)
    fail('type', `threads must be a whole number, not ${threads}`);
  const machine = options.target === 'typescript' ? undefined : sharedMachine();
  if (options.target === 'wasm' && !machine)
    fail('not-generated', 'this host has no shared WebAssembly memory');
  const runner = machine && makeRunner(machine, threads);
  const shared = machine?.memory;
  let copied = 0;
  const backend = makeBackend(shared, runner);
  const place = (length: number, data: Data | readonly number[] | undefined, dtype: Dtype): Data => {
    const wanted = dtype === 'f64' ? Float64Array : Float32Array;
    if (dtype === 'f64' || !shared) {
      if (data instanceof wanted) return data;
      return data ? wanted.from(data) : (backend.allocate(length, dtype, true) as Data);
    }
    if (data instanceof Float32Array && shared.addressOf(data) !== undefined) return data;
    const array = backend.allocate(length, dtype, !data) as Float32Array;
    if (data) array.set(data);
    if (data) copied += 4 * length;
    return array;
  };
  type Plan<R> = () => Pending<CpuKernel, R>;
  return {
    kind: 'cpu',
    target: shared ? 'wasm' : 'typescript',
    threads,
    get copied() {
      return copied;
    },
    tensor: (shape, data, dtype = data instanceof Float64Array ? 'f64' : 'f32') => {
      const length = checkShape(shape, data?.length);
      return makeTensor(backend, place(length, data, dtype), shape, dtype);
    },
    run: makeRunFunction<CpuKernel, 'async'>(backend, async <R>(plan: Plan<R>) => plan().execute()),
    runSync: makeRunFunction<CpuKernel, 'sync'>(backend, <R>(plan: Plan<R>) => plan().execute()),
  };
}

function makeBackend(memory: Memory | undefined, runner: WasmRunner | undefined): Backend<CpuKernel> {
  const isWasm = (kernel: CpuKernel): kernel is WasmKernelDescription => 'module' in kernel;
  return {
    kernelsOf: ({ wasm, cpu }, dtype) => (runner && dtype === 'f32' && wasm ? wasm : cpu),
    decide: (kernels, numbers) => runner?.decide(kernels.filter(isWasm), numbers) ?? numbers,
    allocate: (length, dtype, isZero) => allocate(memory, length, dtype, isZero),
    read: async (storage) => (storage as Data).slice(),
    free: (storage) => memory?.release(storage as Data),
    dispatch: (steps) => {
      for (const { kernel, storages, numbers } of steps) {
        if (isWasm(kernel)) {
          runner!.run(
            kernel,
            (storages as Data[]).map((array) => memory!.addressOf(array)!),
            numbers,
          );
          continue;
        }
        const run = kernel.run as (...args: unknown[]) => void;
        run(...storages, ...kernel.uniforms.map(({ name }) => numbers[name]));
      }
    },
  };
}

function allocate(memory: Memory | undefined, length: number, dtype: Dtype, isZero: boolean): Data {
  try {
    if (!memory) return dtype === 'f64' ? new Float64Array(length) : new Float32Array(length);
    const bytes = length * (dtype === 'f64' ? 8 : 4);
    const view = memory.view(memory.allocate(bytes), length, dtype);
    return isZero ? view.fill(0) : view;
  } catch (error) {
    if (error instanceof RangeError)
      return fail('out-of-memory', `no memory for ${length} elements of type ${dtype}`);
    throw error;
  }
}

let opened: { readonly machine: Machine | undefined } | undefined;

/** One for all devices of a process: address space is what they have in common. */
function sharedMachine(): Machine | undefined {
  opened ??= { machine: openMachine() };
  return opened.machine;
}

/** As many as there are cores, which Node 20 tells in a module alone. */
function defaultThreads(): number {
  const host = globalThis as {
    navigator?: { hardwareConcurrency?: number };
    process?: { getBuiltinModule?: (name: string) => { availableParallelism(): number } };
  };
  const cores =
    host.process?.getBuiltinModule?.('node:os').availableParallelism() ??
    host.navigator?.hardwareConcurrency ??
    4;
  return Math.min(8, cores);
}
