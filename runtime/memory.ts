/** The WebAssembly memory that tensors of f32 live in on the CPU, so that kernels reach them without a copy. */
import { fail } from './error.ts';
import { remember } from './remember.ts';
import type { Block } from './tensor.ts';

const pageBytes = 65536;
/** All that 32-bit addresses reach: address space, not memory that is in use. */
const mostPages = 65536;
/**
 * What lies a multiple of this apart shares places in a cache. Kernels walk along several large tensors together, so
 * these start elsewhere: any sixteen in a row at different multiples of 256 bytes.
 */
const wayBytes = 4096;
const apartBytes = 7 * 256;
const largeBytes = 2 ** 16;
/** Vectors are read whole, also the last one. */
const padding = 64;

export interface Memory {
  readonly memory: WebAssembly.Memory;
  /** Throws where there is no more memory. What it holds is whatever was there. */
  allocate(bytes: number): Block;
  /** Does nothing where it is free already. */
  free(block: Block): void;
  /** The elements of a block. */
  view(block: Block, length: number): Float32Array;
  /** Where an array lies in this memory, or undefined. */
  addressOf(array: ArrayBufferView): number | undefined;
}

/** Undefined where the host has no shared memory. */
export function openMemory(): Memory | undefined {
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: 256, maximum: mostPages, shared: true });
  } catch {
    return undefined;
  }
  const free = new Map<number, number[]>();
  // a memory that has grown, or another beside it, has a new buffer; those before are the same bytes
  const buffers = new WeakSet<object>();
  // what threads share comes first, see `threads.ts`
  let next = 64;
  let large = 0;
  return {
    memory,
    allocate: (needed) => {
      const bytes = roundUp(needed + padding);
      let address = free.get(bytes)?.pop();
      if (address === undefined) {
        address = bytes < largeBytes ? next : next + ((apartBytes * large++ - next) & (wayBytes - 1));
        const missing = address + bytes - memory.buffer.byteLength;
        if (missing > 0) grow(memory, missing);
        next = address + bytes;
      }
      return { byteOffset: address, byteLength: bytes, isFree: false };
    },
    free: (block) => {
      if (block.isFree) return;
      block.isFree = true;
      remember(free, block.byteLength, (): number[] => []).push(block.byteOffset);
    },
    view: ({ byteOffset }, length) => {
      const { buffer } = memory;
      buffers.add(buffer);
      return new Float32Array(buffer, byteOffset, length);
    },
    addressOf: ({ buffer, byteOffset }) => (buffers.has(buffer) ? byteOffset : undefined),
  };
}

/** At least 16 MiB at a time. */
function grow(memory: WebAssembly.Memory, bytes: number): void {
  const pages = Math.ceil(bytes / pageBytes);
  const left = mostPages - memory.buffer.byteLength / pageBytes;
  try {
    memory.grow(Math.max(pages, Math.min(256, left)));
  } catch {
    fail('out-of-memory', `no memory for ${bytes} more bytes: dispose tensors`);
  }
}

/** One of eight sizes to each power of two, so that blocks can be used again. */
function roundUp(bytes: number): number {
  const step = Math.max(64, 2 ** (28 - Math.clz32(bytes)));
  return Math.ceil(bytes / step) * step;
}
