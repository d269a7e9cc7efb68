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
  DeviceTensor,
  type Dtype,
  type Handle,
  handleOf,
  type Owner,
  product,
  type Tensor,
} from './tensor.ts';

/** What all kinds of kernel descriptions have. */
export interface Kernel {
  readonly name: string;
  readonly bindings: readonly BindingDescription[];
  readonly uniforms: readonly UniformDescription[];
  /** Those of the call, and what the device decides for this kernel. */
  readonly numbers: Numbers;
}

/** One kernel with everything it needs. */
export interface Step<K extends Kernel> {
  readonly kernel: K;
  /** In the order of its bindings; of those that a call does not pass, undefined. */
  readonly handles: readonly (Handle | undefined)[];
  /** How many elements each of them has. */
  readonly lengths: readonly number[];
}

/** What a device does for the runtime. */
export interface Backend<K extends Kernel> extends Owner {
  /** The kernels of a direction, as they are launched for a call of these numbers. */
  kernelsOf(direction: DirectionDescription, dtype: Dtype, numbers: Numbers): readonly K[] | undefined;
  /** Memory for that many elements, all zero if `isZero`. Throws where the device has no room for it. */
  allocate(length: number, dtype: Dtype, isZero: boolean): Handle;
  /** Memory that only the kernels of one direction use, with whatever in it. */
  scratch(length: number, dtype: Dtype): Handle;
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

/** Tensors by role, and then by name. */
export type ByRole = { readonly [R in Role]?: Given };
export type Results = { [R in Role]?: Record<string, Tensor> };

/** A tensor to compute. */
interface Wanted {
  readonly role: Role;
  readonly of: string;
  readonly shape: readonly number[];
  readonly length: number;
  readonly isZero: boolean;
}

/** All of a direction that depends on shapes and numbers alone, for calls to come. */
interface Prepared<K extends Kernel> {
  readonly kernels: readonly K[];
  /** By kernel and binding: how many elements, and which of what is wanted and of scratch it is, or -1. */
  readonly lengths: readonly (readonly number[])[];
  readonly places: readonly (readonly number[])[];
  readonly wanted: readonly Wanted[];
  readonly scratch: readonly { readonly length: number; readonly dtype: Dtype }[];
  /** The states that kernels update. */
  readonly updated: readonly string[];
}

/** What was generated for a direction, and which tensors of its role it is to compute. */
export type Described = readonly [description: DirectionDescription | undefined, names: readonly string[]];

/** Prepares a direction, or finds it prepared. Throws where it was not generated for the device's target. */
function prepare<K extends Kernel>(
  backend: Backend<K>,
  call: Call,
  name: string,
  result: Role,
  describe: () => Described,
): Prepared<K> {
  const known = call.prepared.get(name) as Prepared<K> | undefined;
  if (known) return known;
  const [description, names] = describe();
  const kernels =
    (description && backend.kernelsOf(description, call.dtype, call.numbers)) ??
    fail('not-generated', `${name} was not generated: see generate, wrt, --target`);
  const wanted = new Map<string, Wanted>();
  const want = (role: Role, of: string, shape: readonly number[], isZero: boolean) =>
    wanted.set(keyOf(role, of), { role, of, shape, length: product(shape), isZero });
  // what no kernel writes is zero
  for (const name of names) want(result, name, call.shapeOf(name), true);
  const scratch = new Map<string, { length: number; dtype: Dtype }>();
  const updated: string[] = [];
  const lengths = kernels.map(({ bindings, numbers }) =>
    bindings.map((binding) => {
      const { role, of, axes, access, dtype = 'f32' } = binding;
      const sizes = axes.map((axis) => numbers[axis]!);
      const length = binding.length?.(numbers) ?? product(sizes);
      const isPassed = role === 'gradient' ? names.includes(of) : numbers[`given_${of}`];
      if (binding.optional && !isPassed) return 0;
      if (role === 'scratch') {
        // kernels may ask different lengths of the same
        const key = keyOf(role, of);
        scratch.set(key, { dtype, length: Math.max(length, scratch.get(key)?.length ?? 0) });
      } else if (role === 'state' && access !== 'read') updated.push(of);
      else if (access !== 'read')
        want(role, of, role === 'saved' ? sizes : call.shapeOf(of), access !== 'write');
      return length;
    }),
  );
  const keys = [...wanted.keys(), ...scratch.keys()];
  const placeOf = ({ role, of }: BindingDescription): number => {
    const place = keys.indexOf(keyOf(role, of));
    // what forward saves may be one of its outputs
    return place < 0 && role === 'saved' ? keys.indexOf(keyOf('output', of)) : place;
  };
  const prepared = {
    kernels,
    lengths,
    places: kernels.map(({ bindings }) => bindings.map(placeOf)),
    wanted: [...wanted.values()],
    scratch: [...scratch.values()],
    updated,
  };
  call.prepared.set(name, prepared);
  return prepared;
}

const keyOf = (role: Role, of: string): string => `${role} ${of}`;

/**
 * A direction of a call. What it needs `given` has or is `left` by forward; what is missing reads as zero, if it is not
 * optional. `finish` makes the result of the tensors computed: those described, of the role `result`, and what else
 * kernels write.
 */
export function plan<K extends Kernel, R>(
  backend: Backend<K>,
  call: Call,
  name: string,
  result: Role,
  describe: () => Described,
  left: ByRole,
  given: ByRole,
  finish: (results: Results) => R,
): Pending<K, R> {
  const { kernels, lengths, places, wanted, scratch, updated } = prepare(
    backend,
    call,
    name,
    result,
    describe,
  );
  for (const state of updated) checkAliasing(state, left.input!);
  const results: Results = {};
  const discard = () => {
    for (const { role, of } of wanted) results[role]?.[of]?.dispose();
  };
  const execute = () => {
    // of what is wanted, and then what is needed meanwhile
    const handles: Handle[] = [];
    const find = ({ role, of, optional }: BindingDescription, length: number): Handle | undefined => {
      const tensor = (given[role] ?? left[role])?.[of] ?? (role === 'saved' ? left.output?.[of] : undefined);
      if (tensor?.disposed) fail('disposed', `${of} was disposed, but ${name} needs it`);
      if (tensor) return handleOf(tensor);
      if (optional) return undefined;
      const zero = backend.allocate(length, call.dtype, true);
      handles.push(zero);
      return zero;
    };
    try {
      for (const { role, of, shape, length, isZero } of wanted) {
        const handle = backend.allocate(length, call.dtype, isZero);
        handles.push(handle);
        results[role] ??= {};
        results[role][of] = new DeviceTensor(backend, handle, shape, call.dtype);
      }
      for (const { length, dtype } of scratch) handles.push(backend.scratch(length, dtype));
      backend.dispatch(
        kernels.map((kernel, k): Step<K> => {
          const [at, sizes] = [places[k]!, lengths[k]!];
          const bound = kernel.bindings.map((binding, b) =>
            at[b]! < 0 ? find(binding, sizes[b]!) : handles[at[b]!]!,
          );
          return { kernel, handles: bound, lengths: sizes };
        }),
      );
    } catch (error) {
      discard();
      throw error;
    } finally {
      for (const handle of handles.slice(wanted.length)) backend.free(handle);
    }
    return finish(results);
  };
  return { kernels, discard, execute };
}

/** A state is written while other tensors are read: sharing memory would make the result depend on the order. */
function checkAliasing(state: string, tensors: Given): void {
  const mine = handleOf(tensors[state]!) as Data;
  for (const name in tensors) {
    const tensor = tensors[name];
    if (name !== state && tensor && overlap(mine, handleOf(tensor) as Data))
      fail('aliasing', `${name} and ${state} share memory, but ${state} is updated: pass a copy of one`);
  }
}

/** Of a GPU buffer nothing is known but which it is: what is undefined is neither below nor above anything. */
const overlap = (a: Data, b: Data): boolean =>
  a === b || (memoryOf(a) === memoryOf(b) && startsIn(a, b) && startsIn(b, a));

/** Blocks and arrays of WebAssembly memory lie in the same one, even if it has grown between them. */
const memoryOf = ({ buffer }: Data) => buffer instanceof ArrayBuffer && buffer;
const startsIn = (a: Data, b: Data) => a.byteOffset < b.byteOffset + b.byteLength;
