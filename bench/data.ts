/** Random tensors of a problem: the same in every run, two sets of the large ones, so that calls can alternate. */
import { channelsOf, elementsOf, type Problem, writeProblem } from './cases.ts';

/** Arrays by name; those as large as the data lie in the problem's layout. */
export interface Data {
  readonly x: Float32Array;
  /** The cotangent of y. */
  readonly dy: Float32Array;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly running_mean: Float32Array;
  readonly running_var: Float32Array;
  /** The cotangents of the gradients of x, weight and bias. */
  readonly v_x: Float32Array;
  readonly v_weight: Float32Array;
  readonly v_bias: Float32Array;
}

/** Uniform in -1…1 (mulberry32). */
function createUniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

function fill(seed: number, length: number, draw: (u: number) => number): Float32Array {
  const uniform = createUniform(seed);
  const array = new Float32Array(length);
  for (let i = 0; i < length; i++) array[i] = draw(uniform());
  return array;
}

/** Beyond this many elements one set has to do, for there may not be room for two. */
const largestAlternating = 2e7;

let last: { readonly name: string; readonly data: readonly Data[] } | undefined;

/** Contenders must not write to these arrays: they are shared, and those of the last problem are kept for its next row. */
export function drawData(problem: Problem): readonly Data[] {
  const name = writeProblem(problem);
  if (last?.name === name) return last.data;
  last = undefined;
  const data = draw(problem);
  // What is that large is needed once, and each process that kept it would hold a gigabyte.
  if (data.length > 1) last = { name, data };
  return data;
}

function draw(problem: Problem): readonly Data[] {
  const length = elementsOf(problem);
  const channels = channelsOf(problem);
  const set = (seed: number): Data => ({
    x: fill(seed, length, (u) => 1 + 2 * u),
    dy: fill(seed + 1, length, (u) => u),
    weight: fill(seed + 2, channels, (u) => 1 + u / 2),
    bias: fill(seed + 3, channels, (u) => u),
    running_mean: fill(seed + 4, channels, (u) => 1 + u / 4),
    running_var: fill(seed + 5, channels, (u) => 1.5 + u / 2),
    v_x: length > largestAlternating ? new Float32Array() : fill(seed + 6, length, (u) => u),
    v_weight: fill(seed + 7, channels, (u) => u),
    v_bias: fill(seed + 8, channels, (u) => u),
  });
  return length > largestAlternating ? [set(1)] : [set(1), set(101)];
}
