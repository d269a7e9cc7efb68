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
import { type Dtype, makeTensor, type Owner, product, type Storage, type Tensor } from './tensor.ts';

/** What both kinds of kernel descriptions have. */
export interface Kernel {
  readonly name: string;
  readonly bindings: readonly BindingDescription[];
  readonly uniforms: readonly UniformDescription[];
}

/** One kernel with everything it needs. */
export interface Step<K extends Kernel> {
  readonly kernel: K;
  /** In the order of its bindings. */
  readonly storages: readonly Storage[];
  readonly numbers: Numbers;
}

/** What a device does for the runtime. */
export interface Backend<K extends Kernel> extends Owner {
  kernelsOf(direction: DirectionDescription, dtype: Dtype): readonly K[] | undefined;
  /** The call's numbers with those that the device decides. */
  decide?(kernels: readonly K[], numbers: Numbers): Numbers;
  /** Memory for that many elements, all zero if `isZero`. Throws where the device has no room for it. */
  allocate(length: number, dtype: Dtype, isZero: boolean): Storage;
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

export const keyOf = (role: Role, of: string): string => `${role} ${of}`;

/** A tensor to compute. */
export interface Wanted {
  readonly role: Role;
  readonly of: string;
  readonly shape: readonly number[];
}

export interface Direction<R> {
  /** In messages, e.g. `backward`. */
  readonly name: string;
  readonly description: DirectionDescription;
  /** Results to allocate. Those that no kernel writes are zero. */
  readonly wanted: readonly Wanted[];
  /** The caller's and the saved tensors, by role and name; a tensor that is missing reads as zero. */
  readonly existing: ReadonlyMap<string, Tensor>;
  /** Makes the result of the tensors computed, by role and name. */
  finish(results: ReadonlyMap<string, Tensor>): R;
}

/** Throws where the direction was not generated for the device's target. */
export function plan<K extends Kernel, R>(
  backend: Backend<K>,
  call: Call,
  direction: Direction<R>,
): Pending<K, R> {
  const { name, description, wanted, existing, finish } = direction;
  const kernels =
    backend.kernelsOf(description, call.dtype) ??
    fail('not-generated', `${name} was not generated for this target`);
  const numbers = backend.decide?.(kernels, call.numbers) ?? call.numbers;
  for (const { name: kernel, uniforms } of kernels) {
    const unknown = uniforms.find((uniform) => !(uniform.name in numbers));
    if (unknown) fail('missing', `${kernel} needs ${unknown.name}, which nothing in the call gives`);
  }
  const written = new Set(
    kernels.flatMap(({ bindings }) =>
      bindings.filter(({ access }) => access === 'write').map(({ role, of }) => keyOf(role, of)),
    ),
  );
  const lengths = lengthsOf(kernels, numbers);
  let allocated: Tensor[] = [];
  const allocate = (shape: readonly number[], dtype: Dtype, isZero: boolean) => {
    const tensor = makeTensor(backend, backend.allocate(product(shape), dtype, isZero), shape, dtype);
    allocated.push(tensor);
    return tensor;
  };
  const discard = () => {
    for (const tensor of allocated) tensor.dispose();
    allocated = [];
  };
  const execute = () => {
    const results = new Map(
      wanted.map(({ role, of, shape }) => {
        const key = keyOf(role, of);
        return [key, allocate(shape, call.dtype, !written.has(key))];
      }),
    );
    const temporary = new Map<string, Tensor>();
    const find = ({ role, of, dtype }: BindingDescription): Storage => {
      const key = keyOf(role, of);
      // What forward saves may be one of its outputs.
      const output = role === 'saved' ? results.get(keyOf('output', of)) : undefined;
      const known = results.get(key) ?? existing.get(key) ?? output ?? temporary.get(key);
      if (known?.disposed) fail('disposed', `${of} was disposed, but ${name} needs it`);
      if (known) return known.storage;
      const isScratch = role === 'scratch';
      const made = allocate([lengths.get(key)!], isScratch ? (dtype ?? 'f32') : call.dtype, !isScratch);
      temporary.set(key, made);
      return made.storage;
    };
    backend.dispatch(kernels.map((kernel) => ({ kernel, storages: kernel.bindings.map(find), numbers })));
    for (const tensor of temporary.values()) tensor.dispose();
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
function lengthsOf(kernels: readonly Kernel[], numbers: Numbers): Map<string, number> {
  const lengths = new Map<string, number>();
  for (const { role, of, axes, length } of kernels.flatMap((kernel) => kernel.bindings)) {
    const mine = length ? length(numbers) : product(axes.map((axis) => numbers[axis]!));
    lengths.set(keyOf(role, of), Math.max(mine, lengths.get(keyOf(role, of)) ?? 0));
  }
  return lengths;
}
