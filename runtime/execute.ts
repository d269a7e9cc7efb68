/** Binds the kernels of one direction to buffers and runs them. The same for every direction and target. */
import type { Call, Given } from './call.ts';
import type {
  BindingDescription,
  DirectionDescription,
  Numbers,
  Role,
  UniformDescription,
} from './description.ts';
import { fail } from './error.ts';
import {
  type Data,
  type Dtype,
  type Handle,
  handleOf,
  makeTensor,
  type Owner,
  product,
  type Tensor,
} from './tensor.ts';

/** What all kinds of kernel descriptions have. */
export interface Kernel {
  readonly name: string;
  readonly bindings: readonly BindingDescription[];
  readonly uniforms: readonly UniformDescription[];
  /** Instead of those of the call, where each kernel has its own. */
  readonly numbers?: Numbers;
}

/** One kernel with everything it needs. */
export interface Step<K extends Kernel> {
  readonly kernel: K;
  /** In the order of its bindings. */
  readonly handles: readonly Handle[];
  /** How many elements each of them has. */
  readonly lengths: readonly number[];
  readonly numbers: Numbers;
}

/** What a device does for the runtime. */
export interface Backend<K extends Kernel> extends Owner {
  /** The kernels of a direction, as they are launched for a call of these numbers. */
  kernelsOf(direction: DirectionDescription, dtype: Dtype, numbers: Numbers): readonly K[] | undefined;
  /** The call's numbers with those that the device decides. */
  decide?(kernels: readonly K[], numbers: Numbers): Numbers;
  /** Memory for that many elements, all zero if `isZero`. Throws where the device has no room for it. */
  allocate(length: number, dtype: Dtype, isZero: boolean): Handle;
  /** A tensor now has that memory. */
  track?(tensor: Tensor, handle: Handle): void;
  /** Memory that only the kernels of one direction use, with whatever in it. */
  scratch(length: number, dtype: Dtype): Handle;
  freeScratch?(handle: Handle): void;
  /** Runs the steps in order; on a GPU, puts them into its queue. */
  dispatch(steps: readonly Step<K>[]): void;
}

/** Work that has passed its checks. Nothing is allocated before `execute`. */
export interface Pending<K extends Kernel, R> {
  readonly kernels: readonly K[];
  execute(): R;
  /** Frees what `execute` allocated, if the device reports afterwards that it failed. */
  discard(): void;
}

/** A tensor to compute. */
export interface Wanted {
  readonly role: Role;
  readonly of: string;
  readonly shape: readonly number[];
}

/** Where a binding gets its buffer: a result, scratch, or a tensor that is looked up. */
type Source = (
  results: readonly Tensor[],
  scratch: readonly Handle[],
  given: (role: Role, of: string, length: number) => Handle,
) => Handle;

/** All of a direction that depends on shapes and numbers alone, for calls to come. */
export interface Prepared<K extends Kernel> {
  readonly kernels: readonly K[];
  /** By kernel. */
  readonly numbers: readonly Numbers[];
  readonly wanted: readonly (Wanted & { readonly length: number; readonly isZero: boolean })[];
  readonly scratch: readonly { readonly length: number; readonly dtype: Dtype }[];
  readonly sources: readonly (readonly Source[])[];
  readonly lengths: readonly (readonly number[])[];
  /** The states that kernels update. */
  readonly updated: readonly string[];
}

/** What was generated for a direction, and the tensors that it is to compute. */
export type Described<K extends Kernel> = readonly [
  description: DirectionDescription | undefined,
  wanted: (kernels: readonly K[]) => readonly Wanted[],
];

/** Prepares a direction, or finds it prepared. Throws where it was not generated for the device's target. */
function prepare<K extends Kernel>(
  backend: Backend<K>,
  call: Call,
  name: string,
  describe: () => Described<K>,
): Prepared<K> {
  const known = call.prepared.get(name) as Prepared<K> | undefined;
  if (known) return known;
  const [description, wanted] = describe();
  const kernels =
    (description && backend.kernelsOf(description, call.dtype, call.numbers)) ??
    fail('not-generated', `${name} was not generated for this target`);
  const common = backend.decide?.(kernels, call.numbers) ?? call.numbers;
  const numbers = kernels.map((kernel) => kernel.numbers ?? common);
  for (const [k, { name: kernel, uniforms }] of kernels.entries()) {
    const unknown = uniforms.find((uniform) => !(uniform.name in numbers[k]!));
    if (unknown) fail('missing', `${kernel} needs ${unknown.name}, which is not known`);
  }
  const prepared = connect(kernels, numbers, wanted(kernels));
  call.prepared.set(name, prepared);
  return prepared;
}

const keyOf = (role: Role, of: string): string => `${role} ${of}`;

function connect<K extends Kernel>(
  kernels: readonly K[],
  numbers: readonly Numbers[],
  wanted: readonly Wanted[],
): Prepared<K> {
  const bindings = kernels.flatMap((kernel) => kernel.bindings);
  const written = new Set(
    bindings.filter(({ access }) => access === 'write').map(({ role, of }) => keyOf(role, of)),
  );
  const results = new Map(wanted.map(({ role, of }, at) => [keyOf(role, of), at]));
  const scratch: { length: number; dtype: Dtype }[] = [];
  const places = new Map<string, number>();
  const lengths = lengthsOf(kernels, numbers);
  const sourceOf = ({ role, of, dtype }: BindingDescription): Source => {
    const key = keyOf(role, of);
    const length = lengths.get(key)!;
    // what forward saves may be one of its outputs
    const result = results.get(key) ?? (role === 'saved' ? results.get(keyOf('output', of)) : undefined);
    if (result !== undefined) return (results) => handleOf(results[result]!);
    if (role !== 'scratch') return (_, __, given) => given(role, of, length);
    const at = places.get(key) ?? scratch.push({ length, dtype: dtype ?? 'f32' }) - 1;
    places.set(key, at);
    return (_, temporary) => temporary[at]!;
  };
  return {
    kernels,
    numbers,
    wanted: wanted.map((one) => {
      const isZero = !written.has(keyOf(one.role, one.of));
      return { ...one, length: product(one.shape), isZero };
    }),
    sources: kernels.map((kernel) => kernel.bindings.map(sourceOf)),
    lengths: kernels.map((kernel) => kernel.bindings.map(({ role, of }) => lengths.get(keyOf(role, of))!)),
    scratch,
    updated: bindings.filter((b) => b.role === 'state' && b.access !== 'read').map((b) => b.of),
  };
}

/**
 * A direction of a call of these tensors. What it needs beside them `find` gives; what is missing reads as zero. `finish`
 * makes the result of the tensors computed, in the order wanted.
 */
export function plan<K extends Kernel, R>(
  backend: Backend<K>,
  call: Call,
  tensors: Given,
  name: string,
  describe: () => Described<K>,
  find: (role: Role, of: string) => Tensor | null | undefined,
  finish: (results: readonly Tensor[], wanted: readonly Wanted[]) => R,
): Pending<K, R> {
  const prepared = prepare(backend, call, name, describe);
  const { kernels, numbers, wanted, scratch, sources, lengths, updated } = prepared;
  for (const state of updated) checkAliasing(state, tensors);
  const { dtype } = call;
  let results: Tensor[] = [];
  const discard = () => {
    for (const tensor of results) tensor.dispose();
    results = [];
  };
  const execute = () => {
    const temporary: Handle[] = [];
    const zeros: Tensor[] = [];
    const make = (length: number, shape: readonly number[], isZero: boolean): Tensor => {
      const handle = backend.allocate(length, dtype, isZero);
      const tensor = makeTensor(backend, handle, shape, dtype);
      backend.track?.(tensor, handle);
      return tensor;
    };
    const given = (role: Role, of: string, length: number): Handle => {
      let tensor = role === 'input' || role === 'state' ? tensors[of] : find(role, of);
      if (tensor?.disposed) fail('disposed', `${of} was disposed, but ${name} needs it`);
      if (!tensor) {
        tensor = make(length, [length], true);
        zeros.push(tensor);
      }
      return handleOf(tensor);
    };
    try {
      for (const { shape, length, isZero } of wanted) results.push(make(length, shape, isZero));
      for (const { length, dtype: type } of scratch) temporary.push(backend.scratch(length, type));
      const steps = kernels.map((kernel, k): Step<K> => {
        const handles = sources[k]!.map((source) => source(results, temporary, given));
        return { kernel, handles, lengths: lengths[k]!, numbers: numbers[k]! };
      });
      backend.dispatch(steps);
    } catch (error) {
      discard();
      throw error;
    } finally {
      for (const tensor of zeros) tensor.dispose();
      for (const handle of temporary) backend.freeScratch?.(handle);
    }
    return finish(results, wanted);
  };
  return { kernels, discard, execute };
}

/** Elements of each buffer: kernels of one direction may ask different lengths of the same scratch. */
function lengthsOf(kernels: readonly Kernel[], numbers: readonly Numbers[]): Map<string, number> {
  const lengths = new Map<string, number>();
  for (const [k, { bindings }] of kernels.entries()) {
    for (const { role, of, axes, length } of bindings) {
      const mine = length ? length(numbers[k]!) : product(axes.map((axis) => numbers[k]![axis]!));
      lengths.set(keyOf(role, of), Math.max(mine, lengths.get(keyOf(role, of)) ?? 0));
    }
  }
  return lengths;
}

/** A state is written while other tensors are read: sharing memory would make the result depend on the order. */
function checkAliasing(state: string, tensors: Given): void {
  const mine = handleOf(tensors[state]!);
  for (const name in tensors) {
    const tensor = tensors[name];
    if (name !== state && tensor && overlap(mine, handleOf(tensor)))
      fail('aliasing', `${name} and ${state} share memory, but ${state} is updated: pass a copy of one`);
  }
}

function overlap(a: Handle, b: Handle): boolean {
  if (a === b) return true;
  if (memoryOf(a) !== memoryOf(b)) return false;
  return startOf(a) < startOf(b) + bytesOf(b) && startOf(b) < startOf(a) + bytesOf(a);
}

/** What a handle is part of: blocks and arrays over WebAssembly memory lie in the same one. */
function memoryOf(handle: Handle): unknown {
  if ('address' in handle) return 'wasm';
  if (!('buffer' in handle)) return handle;
  return handle.buffer instanceof ArrayBuffer ? handle.buffer : 'wasm';
}
const startOf = (handle: Handle) => ('address' in handle ? handle.address : (handle as Data).byteOffset);
const bytesOf = (handle: Handle) => ('address' in handle ? handle.bytes : (handle as Data).byteLength);
