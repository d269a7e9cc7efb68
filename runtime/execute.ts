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
  /** Numbers of this launch beside those of the call. */
  readonly launch?: Numbers;
}

/** One kernel with everything it needs. */
export interface Step<K extends Kernel> {
  readonly kernel: K;
  /** In the order of its bindings. */
  readonly storages: readonly Storage[];
  readonly numbers: Numbers;
}

/** What new memory holds: zeros, or anything where a kernel writes all of it anyway. */
export type Content = 'zero' | 'any';

/** What a device does for the runtime. */
export interface Backend<K extends Kernel> extends Owner {
  /** The type of scratch: the widest that the device has. */
  readonly scratch: Dtype;
  /** The kernels of a direction, as they are launched for a call of these numbers if they are given. */
  kernelsOf(direction: DirectionDescription, numbers?: Numbers): readonly K[] | undefined;
  /** Memory for that many elements. Throws where the device has no room for it. */
  allocate(length: number, dtype: Dtype, content: Content): Storage;
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
    backend.kernelsOf(description, call.numbers) ??
    fail('not-generated', `${name} was not generated for this target`);
  const numbersOf = ({ launch }: K): Numbers => (launch ? { ...call.numbers, ...launch } : call.numbers);
  for (const kernel of kernels) {
    const numbers = numbersOf(kernel);
    const unknown = kernel.uniforms.find((uniform) => !(uniform.name in numbers));
    if (unknown) fail('missing', `${kernel.name} needs ${unknown.name}, which nothing in the call gives`);
  }
  const lengths = lengthsOf(kernels, numbersOf);
  const written = new Set(
    kernels.flatMap(({ bindings }) =>
      bindings.filter(({ access }) => access !== 'read').map(({ role, of }) => keyOf(role, of)),
    ),
  );
  let allocated: Tensor[] = [];
  const allocate = (key: string, shape: readonly number[], dtype: Dtype) => {
    const storage = backend.allocate(product(shape), dtype, written.has(key) ? 'any' : 'zero');
    const tensor = makeTensor(backend, storage, shape, dtype);
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
        return [key, allocate(key, shape, call.dtype)];
      }),
    );
    const temporary = new Map<string, Tensor>();
    const find = ({ role, of }: BindingDescription): Storage => {
      const key = keyOf(role, of);
      // What forward saves may be one of its outputs.
      const output = role === 'saved' ? results.get(keyOf('output', of)) : undefined;
      const known = results.get(key) ?? existing.get(key) ?? output ?? temporary.get(key);
      if (known?.disposed) fail('disposed', `${of} was disposed, but ${name} needs it`);
      if (known) return known.storage;
      const made = allocate(key, [lengths.get(key)!], role === 'scratch' ? backend.scratch : call.dtype);
      temporary.set(key, made);
      return made.storage;
    };
    backend.dispatch(
      kernels.map((kernel) => ({
        kernel,
        storages: kernel.bindings.map(find),
        numbers: numbersOf(kernel),
      })),
    );
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
function lengthsOf<K extends Kernel>(
  kernels: readonly K[],
  numbersOf: (kernel: K) => Numbers,
): Map<string, number> {
  const lengths = new Map<string, number>();
  for (const kernel of kernels) {
    const numbers = numbersOf(kernel);
    for (const { role, of, axes, length } of kernel.bindings) {
      const mine = length ? length(numbers) : product(axes.map((axis) => numbers[axis]!));
      lengths.set(keyOf(role, of), Math.max(mine, lengths.get(keyOf(role, of)) ?? 0));
    }
  }
  return lengths;
}
