/** Whether a contender computed what the reference says. */
import type { Results } from './reference.ts';

/** In units of the largest value of the tensor. Sums of random signs in float32 stay well below. */
const tolerance = 2e-3;

/** What a contender may leave out, since not every library computes it. */
const optional = ['running_mean', 'running_var'];

/** Says what is wrong, or nothing. */
export function disagreement(expected: Results, actual: Results): string | undefined {
  for (const [name, values] of expected) {
    const given = actual.get(name);
    if (!given && optional.includes(name)) continue;
    if (given?.length !== values.length)
      return `${name} has ${given?.length ?? 'no'} elements instead of ${values.length}`;
    const error = relativeError(values, given);
    // Not written as >, which is false of NaN.
    if (!(error <= tolerance)) return `${name} is off by ${error.toExponential(1)} of its largest value`;
  }
  return undefined;
}

function relativeError(expected: ArrayLike<number>, actual: ArrayLike<number>): number {
  let largest = 1e-30;
  let error = 0;
  for (let i = 0; i < expected.length; i++) {
    const size = Math.abs(expected[i]!);
    const off = Math.abs(actual[i]! - expected[i]!);
    if (size > largest) largest = size;
    if (off > error || Number.isNaN(off)) error = off;
  }
  return error / largest;
}
