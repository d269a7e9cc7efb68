/** Tensors: a shape and a dense row-major buffer on one device. */
import { fail } from './error.ts';

export type Dtype = 'f32' | 'f64';
export type Data = Float32Array | Float64Array;
/** Where a tensor's elements are: an array on the CPU, a buffer on a GPU. */
export type Storage = Data | GPUBuffer;

/** What of a device a tensor needs; compared by identity to tell devices apart. */
export interface Owner {
  read(storage: Storage, length: number, dtype: Dtype): Promise<Data>;
  free(storage: Storage): void;
}

export interface Tensor {
  /** Sizes in physical order, outermost first; `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** Number of elements. */
  readonly length: number;
  /**
   * The array or GPU buffer itself, for use without a copy. A GPU buffer may be longer than the tensor: its size is a
   * multiple of 16 bytes and never 0.
   */
  readonly storage: Storage;
  readonly disposed: boolean;
  readonly owner: Owner;
  /** A copy of the elements, row-major. The only operation that waits for a GPU. */
  read(): Promise<Data>;
  /** Frees the memory; any later use is an error. Disposing twice is not. */
  dispose(): void;
}

export const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Wraps storage that already holds `product(shape)` elements. */
export function makeTensor(
  owner: Owner,
  storage: Storage,
  shape: readonly number[],
  dtype: Dtype,
  adopted = false,
): Tensor {
  const length = product(shape);
  let live: Storage | undefined = storage;
  const use = () => live ?? fail('disposed', `a tensor of shape [${shape}] was used after it was disposed`);
  return {
    shape: [...shape],
    dtype,
    length,
    owner,
    get storage() {
      return use();
    },
    get disposed() {
      return live === undefined;
    },
    read: async () => owner.read(use(), length, dtype),
    dispose: () => {
      if (live && !adopted) owner.free(live);
      live = undefined;
    },
  };
}

/** Checks a shape against the number of elements given for it, and returns that number. */
export function checkShape(shape: readonly number[], given?: number): number {
  for (const size of shape) {
    if (!Number.isInteger(size) || size < 0) fail('shape', `[${shape}] is no shape: sizes are whole numbers`);
  }
  const length = product(shape);
  if (given !== undefined && given !== length) {
    fail('shape', `shape [${shape}] has ${length} elements, but ${given} were given`);
  }
  return length;
}
