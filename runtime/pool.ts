/** Freed GPU buffers, kept for the next tensor of the same size. */

export interface Pool {
  /** A buffer that was freed, with whatever it held then; undefined where there is none of this size. */
  take(size: number): GPUBuffer | undefined;
  /** Keeps a buffer for later; where it becomes too much, without those kept until now. */
  give(buffer: GPUBuffer): void;
  /** Destroys all that is kept. */
  clear(): void;
}

/**
 * Work in the queue may still use what is given: the queue is ordered, so whoever takes it writes after that. What was
 * given first is taken first, so that the steps of a loop use few buffers for each purpose. `limit` is in bytes.
 */
export function makePool(limit: number): Pool {
  const kept = new Set<GPUBuffer>();
  let bytes = 0;
  const clear = () => {
    for (const buffer of kept) buffer.destroy();
    kept.clear();
    bytes = 0;
  };
  return {
    take: (size) => {
      for (const buffer of kept) {
        if (buffer.size !== size) continue;
        kept.delete(buffer);
        bytes -= size;
        return buffer;
      }
      return undefined;
    },
    give: (buffer) => {
      if (bytes + buffer.size > limit) clear();
      kept.add(buffer);
      bytes += buffer.size;
    },
    clear,
  };
}
