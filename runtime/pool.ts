/** Freed GPU buffers, kept for the next tensor of the same size. */

export interface Pool {
  /** A buffer that was freed, with whatever it held then; undefined where there is none of this size and usage. */
  take(size: number, usage: number): GPUBuffer | undefined;
  /** Keeps a buffer for later, and destroys those kept longest where it becomes too much. */
  give(buffer: GPUBuffer): void;
  /** Destroys all that is kept. */
  clear(): void;
}

/**
 * Work in the queue may still use what is given: the queue is ordered, so whoever takes it writes after that. `limit` is
 * how many bytes are kept.
 */
export function makePool(limit: number): Pool {
  // the one given longest ago first
  const kept = new Set<GPUBuffer>();
  const serials = new WeakMap<GPUBuffer, number>();
  let next = 0;
  let bytes = 0;
  const remove = (buffer: GPUBuffer) => {
    kept.delete(buffer);
    bytes -= buffer.size;
    return buffer;
  };
  return {
    take: (size, usage) => {
      // in the order they were first given, so that each step of a loop takes the same buffers for the same purposes
      let first: GPUBuffer | undefined;
      for (const buffer of kept) {
        if (buffer.size !== size || buffer.usage !== usage) continue;
        if (!first || serials.get(buffer)! < serials.get(first)!) first = buffer;
      }
      return first && remove(first);
    },
    give: (buffer) => {
      if (!serials.has(buffer)) serials.set(buffer, next++);
      kept.add(buffer);
      bytes += buffer.size;
      for (const oldest of kept) {
        if (bytes <= limit) break;
        remove(oldest).destroy();
      }
    },
    clear: () => {
      for (const buffer of kept) remove(buffer).destroy();
    },
  };
}
