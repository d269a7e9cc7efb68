/** The WebAssembly memory that tensors of f32 live in on the CPU, so that kernels reach them without a copy. */
import { fail } from './error.ts';
import type { Data, Dtype } from './tensor.ts';

const pageBytes = 65536;
/** All that 32-bit addresses reach: address space, not memory that is in use. */
const mostPages = 65536;
/** Vectors are read whole, also the last one. */
const padding = 16;

/** A piece of the memory. */
export interface Block {
  readonly address: number;
  /** What it was rounded up to. */
  readonly bytes: number;
}

export interface Memory {
  readonly memory: WebAssembly.Memory;
  /** Throws where there is no more memory. What it holds is whatever was there. */
  allocate(bytes: number): Block;
  free(block: Block): void;
  /** An array that frees its block when nobody holds it any more, unless `release` has done so. */
  view(block: Block, length: number, dtype: Dtype): Data;
  release(view: Data): void;
  /** Where an array lies in this memory, or undefined. */
  addressOf(array: ArrayBufferView): number | undefined;
}

/** Undefined where the host has no shared memory. */
export function openMemory(): Memory | undefined {
  const memory = createMemory();
  if (!memory) return undefined;
  const free = new Map<number, number[]>();
  // address 0 stays unused, so that no tensor has it
  let next = 64;
  let limit = memory.buffer.byteLength;
  const blocks = new WeakMap<Data, Block>();
  const put = ({ address, bytes }: Block): void => {
    const known = free.get(bytes);
    if (known) known.push(address);
    else free.set(bytes, [address]);
  };
  const unreachable = new FinalizationRegistry<Block>(put);

  const allocate = (bytes: number): Block => {
    const rounded = roundUp(bytes + padding);
    const known = free.get(rounded)?.pop();
    if (known !== undefined) return { address: known, bytes: rounded };
    if (next + rounded > limit) {
      grow(memory, next + rounded - limit);
      limit = memory.buffer.byteLength;
    }
    const address = next;
    next += rounded;
    return { address, bytes: rounded };
  };
  return {
    memory,
    allocate,
    free: put,
    view: (block, length, dtype) => {
      const array = dtype === 'f64' ? Float64Array : Float32Array;
      const view = new array(memory.buffer, block.address, length);
      blocks.set(view, block);
      unreachable.register(view, block, view);
      return view;
    },
    release: (view) => {
      const block = blocks.get(view);
      if (!block) return;
      blocks.delete(view);
      unreachable.unregister(view);
      put(block);
    },
    addressOf: ({ buffer, byteOffset }) =>
      // a memory that has grown has a new buffer; those before are the same bytes
      buffer === memory.buffer || buffers.get(buffer) === memory ? byteOffset : undefined,
  };
}

/** Which memory a buffer belongs to, also after it has grown. */
const buffers = new WeakMap<object, WebAssembly.Memory>();

function createMemory(): WebAssembly.Memory | undefined {
  try {
    const memory = new WebAssembly.Memory({ initial: 256, maximum: mostPages, shared: true });
    buffers.set(memory.buffer, memory);
    return memory;
  } catch {
    return undefined;
  }
}

/** At least 16 MiB at a time. */
function grow(memory: WebAssembly.Memory, bytes: number): void {
  const used = memory.buffer.byteLength / pageBytes;
  const pages = Math.ceil(bytes / pageBytes);
  try {
    memory.grow(Math.min(Math.max(pages, 256), Math.max(pages, mostPages - used)));
  } catch {
    fail('out-of-memory', `no memory for ${bytes} more bytes: dispose tensors that are no longer needed`);
  }
  buffers.set(memory.buffer, memory);
}

/** One of eight sizes to each power of two, so that blocks can be used again. */
function roundUp(bytes: number): number {
  const step = Math.max(64, 2 ** (31 - Math.clz32(bytes) - 3));
  return Math.ceil(bytes / step) * step;
}
