/** Random numbers that are the same in every run. All are representable in f32, so that every target sees the same. */

export interface Random {
  /** In [0, 1). */
  readonly uniform: () => number;
  readonly normals: (count: number) => number[];
  /** In [0.5, 1.5). */
  readonly positives: (count: number) => number[];
}

/** A generator seeded by a text (mulberry32). */
export function createRandom(seed: string): Random {
  let state = [...seed].reduce((hash, c) => Math.imul(hash ^ c.charCodeAt(0), 16777619), 2166136261);
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  // Box and Muller; 1 - u is never 0.
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const many = (count: number, one: () => number): number[] =>
    Array.from({ length: count }, () => Math.fround(one()));
  return {
    uniform,
    normals: (count) => many(count, normal),
    positives: (count) => many(count, () => 0.5 + uniform()),
  };
}
