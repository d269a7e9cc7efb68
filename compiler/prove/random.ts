/** A small seeded generator, so that every run tests the same points (mulberry32). */
export interface Random {
  /** Uniform in [0, 1). */
  readonly uniform: () => number;
  readonly integer: (below: number) => number;
  readonly normal: () => number;
  /** 60 random bits. */
  readonly bits: () => bigint;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const word = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const uniform = (): number => word() / 2 ** 32;
  return {
    uniform,
    integer: (below) => Math.floor(uniform() * below),
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    bits: () => (BigInt(word()) << 28n) ^ BigInt(word()),
  };
}
