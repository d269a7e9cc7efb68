/** Binds the kernels of one direction to buffers and runs them. The same for every direction and target. */
import type { Call } from './call.ts';
import type {
  BindingDescription,
  DirectionDescription,
  Numbers,
  Role,
  UniformDescription,
} from './description.ts';
import { fail } from './error.ts';
import { type Dtype, type Handle, handleOf, makeTensor, type Owner, product, type Tensor } from './tensor.ts';

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

export interface Direction<R> {
  /** In messages, e.g. `backward`. */
  readonly name: string;
  readonly prepared: Prepared<Kernel>;
  /** A tensor of the caller or a saved one; one that is missing reads as zero. */
  readonly find: (role: Role, of: string) => Tensor | undefined;
  /** Makes the result of the tensors computed, in the order wanted. */
  readonly finish: (results: readonly Tensor[]) => R;
}

/** Where a binding gets its buffer: a result, scratch, or a tensor that is looked up. */
type Source =
  | { readonly from: 'result'; readonly at: number }
  | { readonly from: 'scratch'; readonly at: number }
  | { readonly from: 'given'; readonly role: Role; readonly of: string; readonly length: number };

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
  readonly updated: ReadonlySet<string>;
}

/** Prepares a direction, or finds it prepared. Throws where it was not generated for the device's target. */
export function prepare<K extends Kernel>(
  backend: Backend<K>,
  call: Call,
  key: string,
  name: string,
  description: () => DirectionDescription,
  wanted: (kernels: readonly K[]) => readonly Wanted[],
): Prepared<K> {
  const known = call.prepared.get(key) as Prepared<K> | undefined;
  if (known) return known;
  const kernels =
    backend.kernelsOf(description(), call.dtype, call.numbers) ??
    fail('not-generated', `${name} was not generated for this target`);
  const common = backend.decide?.(kernels, call.numbers) ?? call.numbers;
  const numbers = kernels.map((kernel) => kernel.numbers ?? common);
  for (const [k, { name: kernel, uniforms }] of kernels.entries()) {
    const unknown = uniforms.find((uniform) => !(uniform.name in numbers[k]!));
    if (unknown) fail('missing', `${kernel} needs ${unknown.name}, which nothing in the call gives`);
  }
  const prepared = connect(kernels, numbers, wanted(kernels));
  call.prepared.set(key, prepared);
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
    if (result !== undefined) return { from: 'result', at: result };
    if (role !== 'scratch') return { from: 'given', role, of, length };
    const at = places.get(key) ?? scratch.push({ length, dtype: dtype ?? 'f32' }) - 1;
    places.set(key, at);
    return { from: 'scratch', at };
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
    updated: new Set(bindings.filter((b) => b.role === 'state' && b.access !== 'read').map((b) => b.of)),
  };
}

export function plan<K extends Kernel, R>(
  backend: Backend<K>,
  call: Call,
  direction: Omit<Direction<R>, 'prepared'> & { readonly prepared: Prepared<K> },
): Pending<K, R> {
  const { name, prepared, find, finish } = direction;
  const { kernels, numbers, wanted, scratch, sources, lengths } = prepared;
  let results: Tensor[] = [];
  const discard = () => {
    for (const tensor of results) tensor.dispose();
    results = [];
  };
  const execute = () => {
    for (const { shape, length, isZero } of wanted) {
      const handle = backend.allocate(length, call.dtype, isZero);
      const tensor = makeTensor(backend, handle, shape, call.dtype);
      backend.track?.(tensor, handle);
      results.push(tensor);
    }
    const temporary = scratch.map(({ length, dtype }) => backend.scratch(length, dtype));
    const zeros: Tensor[] = [];
    const handleFor = (source: Source): Handle => {
      if (source.from === 'result') return handleOf(results[source.at]!);
      if (source.from === 'scratch') return temporary[source.at]!;
      const known = find(source.role, source.of);
      if (known?.disposed) fail('disposed', `${source.of} was disposed, but ${name} needs it`);
      if (known) return handleOf(known);
      const handle = backend.allocate(source.length, call.dtype, true);
      zeros.push(makeTensor(backend, handle, [source.length], call.dtype));
      return handle;
    };
    try {
      const steps = kernels.map((kernel, k): Step<K> => {
        const handles = sources[k]!.map(handleFor);
        return { kernel, handles, lengths: lengths[k]!, numbers: numbers[k]! };
      });
      backend.dispatch(steps);
    } finally {
      for (const tensor of zeros) tensor.dispose();
      if (backend.freeScratch) for (const handle of temporary) backend.freeScratch(handle);
    }
    return finish(results);
  };
  return {
    kernels,
    discard,
    execute: () => {
      try {
        return execute();
      } catch (error) {
        discard();
        throw error;
      }
    },
  };
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
