/** The CPU as a device: WebAssembly kernels on several threads, and plain functions where there are none. */
import { checkNames } from './call.ts';
import type { CpuKernelDescription, Numbers } from './description.ts';
import { makeRunFunction, type RunFunction } from './device.ts';
import { fail } from './error.ts';
import type { Backend, Pending } from './execute.ts';
import type { Memory } from './memory.ts';
import {
  type Block,
  checkShape,
  type Data,
  DeviceTensor,
  type Dtype,
  type Handle,
  handleOf,
  type Tensor,
} from './tensor.ts';
import { type Machine, makeRunner, openMachine, type WasmLaunch, type WasmRunner } from './wasm.ts';

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
   * `wasm`, f32 data is copied into memory that WebAssembly sees, unless it is the `storage` of a tensor of this process;
   * states are updated there: see the tensor's `storage` or `read`. Otherwise a typed array of the tensor's type is used
   * itself, and states are updated in it. Throws `shape`, `out-of-memory`, and `unknown-name` for a type there is not.
   */
  tensor(shape: readonly number[], data?: Data | readonly number[], dtype?: Dtype): Tensor;
  /**
   * Runs forward. States are updated in place. Inputs are kept by reference, not copied: leave them unchanged until the
   * last backward. Rejects with a `NormgradError` of any code but a GPU's `limit`, `device-lost` and `kernel`.
   */
  readonly run: RunFunction<'async'>;
  /** The same without promises, and so are the run's `backward` and the others. */
  readonly runSync: RunFunction<'sync'>;
}

type CpuLaunch = CpuKernelDescription & { readonly numbers: Numbers };
type CpuKernel = CpuLaunch | WasmLaunch;
type CpuBackend = Backend<CpuKernel>;

/**
 * Throws a `NormgradError`: `type` or `unknown-name` for options that mean nothing, and `not-generated` where
 * WebAssembly is asked for and the host has no shared memory.
 */
export function cpu(options?: CpuOptions | null): CpuDevice {
  const { threads = defaultThreads(), target } = options ?? {};
  if (!Number.isInteger(threads) || threads < 1)
    fail('type', `threads must be a whole number, not ${threads}`);
  if (target) checkNames(['wasm', 'typescript'], [target], 'target');
  const machine = sharedMachine();
  if (target === 'wasm' && !machine) fail('not-generated', 'this host has no shared memory');
  const memory = machine?.memory;
  const runner = target === 'typescript' ? undefined : machine && makeRunner(machine, threads);
  const backend = makeBackend(memory, runner);
  let copied = 0;

  type Plan<R> = () => Pending<CpuKernel, R>;
  return {
    kind: 'cpu',
    target: runner ? 'wasm' : 'typescript',
    threads,
    get copied() {
      return copied;
    },
    tensor: (shape, data, dtype = data instanceof Float64Array ? 'f64' : 'f32') => {
      const length = checkShape(shape, data);
      const own = [...shape];
      if (!arrays[dtype]) checkNames(['f32', 'f64'], [dtype], 'dtype');
      const isThere =
        data instanceof arrays[dtype] &&
        (dtype === 'f64' || !runner || memory!.addressOf(data) !== undefined);
      if (isThere) return new DeviceTensor(backend, data, own, dtype, true);
      const handle = backend.allocate(length, dtype, !data);
      const made = new DeviceTensor(backend, handle, own, dtype);
      if (data) {
        (made.storage as Data).set(data);
        if (isBlock(handle)) copied += 4 * length;
      }
      return made;
    },
    run: makeRunFunction<CpuKernel, 'async'>(backend, async <R>(plan: Plan<R>) => plan().execute()),
    runSync: makeRunFunction<CpuKernel, 'sync'>(backend, <R>(plan: Plan<R>) => plan().execute()),
  };
}

const arrays = { f32: Float32Array, f64: Float64Array };

function allocateArray(length: number, dtype: Dtype): Data {
  try {
    return new arrays[dtype](length);
  } catch {
    return fail('out-of-memory', `no memory for ${length} elements: dispose tensors`);
  }
}

function runFunction({ run, uniforms, numbers }: CpuLaunch, arrays: readonly (Data | undefined)[]): void {
  // one array for all: in one of numbers alone V8 would make sizes doubles, and then indices too
  const args: unknown[] = [...arrays];
  for (const { name } of uniforms) args.push(numbers[name]);
  (run as (...args: unknown[]) => void)(...args);
}

/** Keeps a tensor alive as long as the array of its elements is. */
const heldBy = Symbol();
const isBlock = (handle: Handle): handle is Block => 'isFree' in handle;
const isWasm = (kernel: CpuKernel): kernel is WasmLaunch => 'calls' in kernel;

/** The size of tensors that need not be watched at once, and how many of these there are at most. */
const fewBytes = 4096;
const mostYoung = 128;

/** Tensors of f32 in WebAssembly memory where there is one, which is freed with them; all else in arrays. */
function makeBackend(memory: Memory | undefined, runner: WasmRunner | undefined): CpuBackend {
  const unreachable = new FinalizationRegistry<Block>((block) => memory!.free(block));
  /** Small tensors of late, not yet watched: most are disposed soon, and to watch one takes as long as to make it. */
  const young: Tensor[] = [];
  const addressOf = (handle: Handle): number =>
    isBlock(handle) ? handle.byteOffset : memory!.addressOf(handle as Data)!;
  const arrayOf = (handle: Handle, length: number): Data =>
    isBlock(handle) ? memory!.view(handle, length) : (handle as Data);
  return {
    kernelsOf: ({ wasm, cpu }, dtype, numbers) =>
      runner && dtype === 'f32' && wasm
        ? wasm.map((kernel) => runner.launch(kernel, numbers))
        : cpu?.map((kernel) => ({ ...kernel, numbers })),
    allocate: (length, dtype, isZero) => {
      // a small array costs functions less than a view of memory, a large one the first touch of its pages
      const isArray = dtype === 'f64' || (!runner && 4 * length < fewBytes);
      if (!memory || isArray) return allocateArray(length, dtype);
      const block = memory.allocate(4 * length);
      if (isZero) memory.view(block, length).fill(0);
      return block;
    },
    track: (tensor, handle) => {
      if (!isBlock(handle)) return;
      if (handle.byteLength > fewBytes) unreachable.register(tensor, handle);
      else if (young.push(tensor) === mostYoung)
        for (const one of young.splice(0))
          if (!one.disposed) unreachable.register(one, handleOf(one) as Block);
    },
    scratch: (length, dtype) =>
      memory?.allocate(length * (dtype === 'f64' ? 8 : 4)) ?? allocateArray(length, dtype),
    read: async (handle, length) => arrayOf(handle, length).slice(),
    free: (handle) => {
      if (isBlock(handle)) memory!.free(handle);
    },
    storageOf: (handle, tensor) =>
      isBlock(handle)
        ? Object.assign(arrayOf(handle, tensor.length), { [heldBy]: tensor })
        : (handle as Data),
    dispatch: (steps) => {
      for (const { kernel, handles, lengths } of steps)
        if (isWasm(kernel)) runner!.run(kernel, (handles as Handle[]).map(addressOf));
        else
          runFunction(
            kernel,
            handles.map((handle, i) => handle && arrayOf(handle, lengths[i]!)),
          );
    },
  };
}

let opened: readonly [Machine | undefined] | undefined;

/** One for all devices of a process: address space is what they have in common. */
function sharedMachine(): Machine | undefined {
  opened ??= [openMachine()];
  return opened[0];
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
