/** Tensors: a shape and a dense row-major buffer on one device. */
import { fail } from './error.ts';

export type Dtype = 'f32' | 'f64';
export type Data = Float32Array | Float64Array;
/** So that programs for the CPU type-check where nothing declares WebGPU; with its own declarations these are one. */
declare global {
  interface GPUBuffer {}
  interface GPUDevice {}
}

/** Where a tensor's elements are: an array on the CPU, a buffer on a GPU. */
export type Storage = Data | GPUBuffer;

/** A piece of WebAssembly memory, by the words of an array over it. */
export interface Block {
  readonly byteOffset: number;
  /** What it was rounded up to. */
  readonly byteLength: number;
  isFree: boolean;
}

/** What a device knows a tensor's elements by. */
export type Handle = Storage | Block;

/** What of a device a tensor needs; compared by identity to tell devices apart. */
export interface Owner {
  read(handle: Handle, length: number, dtype: Dtype): Promise<Data>;
  free(handle: Handle): void;
  /** The elements as the caller may use them. */
  storageOf(handle: Handle, tensor: Tensor): Storage;
  /** A tensor now has that memory. */
  track?(tensor: Tensor, handle: Handle): void;
}

export interface Tensor {
  /** Sizes in physical order, outermost first; `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** Number of elements. */
  readonly length: number;
  /**
   * The array or GPU buffer itself, for use without a copy. A GPU buffer may be longer than the tensor: its size is a
   * multiple of 16 bytes and never 0. After `dispose` the memory is used for other tensors.
   */
  readonly storage: Storage;
  readonly disposed: boolean;
  readonly owner: Owner;
  /** A copy of the elements, row-major. The only operation that waits for a GPU. */
  read(): Promise<Data>;
  /** Frees the memory; any later use is an error. Disposing twice is not. */
  dispose(): void;
}

export function product(sizes: readonly number[]): number {
  let total = 1;
  for (const size of sizes) total *= size;
  return total;
}

/** One shape of code for all tensors: they are made by the thousand. */
export class DeviceTensor implements Tensor {
  readonly length: number;
  #handle: Handle | undefined;
  #storage: Storage | undefined;

  /** Wraps memory that already holds `product(shape)` elements; `isAdopted` memory is not freed. */
  constructor(
    readonly owner: Owner,
    handle: Handle,
    readonly shape: readonly number[],
    readonly dtype: Dtype,
    readonly isAdopted = false,
  ) {
    this.length = product(shape);
    this.#handle = handle;
    if (!isAdopted) owner.track?.(this, handle);
  }
  get handle(): Handle {
    return this.#handle ?? fail('disposed', `the tensor of shape [${this.shape}] was disposed`);
  }
  get storage(): Storage {
    this.#storage ??= this.owner.storageOf(this.handle, this);
    return this.#storage;
  }
  get disposed(): boolean {
    return this.#handle === undefined;
  }
  async read(): Promise<Data> {
    return this.owner.read(this.handle, this.length, this.dtype);
  }
  dispose(): void {
    if (this.#handle && !this.isAdopted) this.owner.free(this.#handle);
    this.#handle = undefined;
    this.#storage = undefined;
  }
}

/** What its device knows a tensor by. Throws if it was disposed. */
export const handleOf = (tensor: Tensor): Handle => (tensor as DeviceTensor).handle;

/** Checks a shape against the elements given for it, and returns how many there are. */
export function checkShape(shape: readonly number[], data?: Data | readonly number[]): number {
  if (!Array.isArray(shape) || ![...shape].every((size) => Number.isInteger(size) && size >= 0))
    fail('shape', `a shape is an array of whole numbers, not ${shape}`);
  const length = product(shape);
  const type = typeof data?.[0];
  if (data && (data.length !== length || (length > 0 && type !== 'number')))
    fail('shape', `shape [${shape}] takes an array of ${length} numbers, not ${data.length} of type ${type}`);
  return length;
}
