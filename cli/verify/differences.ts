/** Derivatives by finite differences, with an estimate of their error. */

export interface Derivative {
  readonly value: readonly number[];
  /** An estimate of the largest error of an element. */
  readonly error: number;
}

/** Steps tried in turn: smaller ones fit between kinks, larger ones round less. */
export const firstSteps = [0.1, 0.01, 1e-3, 1e-4] as const;
const shrink = 1.6;
const rows = 7;

/**
 * The derivative at 0 of a function of a step, by Ridders' extrapolation of central differences to step 0
 * (C. Ridders, Advances in Engineering Software 4, 1982). Stops at the first step that reaches `wanted`.
 */
export function derivative(f: (step: number) => readonly number[], wanted: number): Derivative {
  let best: Derivative = { value: [], error: Number.POSITIVE_INFINITY };
  for (const step of firstSteps) {
    const found = extrapolate(f, step, wanted);
    if (found.error < best.error || best.value.length === 0) best = found;
    if (best.error <= wanted) break;
  }
  return best;
}

function extrapolate(f: (step: number) => readonly number[], first: number, wanted: number): Derivative {
  let best: Derivative = { value: [], error: Number.POSITIVE_INFINITY };
  let above: number[][] = [];
  for (let row = 0; row < rows; row++) {
    const step = first / shrink ** row;
    const [right, left] = [f(step), f(-step)];
    const current = [right.map((value, i) => (value - left[i]!) / (2 * step))];
    for (let order = 1; order <= row; order++) {
      const factor = shrink ** (2 * order);
      const [finer, coarser] = [current[order - 1]!, above[order - 1]!];
      const value = finer.map((a, i) => (factor * a - coarser[i]!) / (factor - 1));
      current.push(value);
      const error = Math.max(distance(value, finer), distance(value, coarser));
      if (error < best.error) best = { value, error };
    }
    above = current;
    if (best.error <= wanted / 10) break;
  }
  return best.value.length > 0 ? best : { value: above[0]!, error: Number.POSITIVE_INFINITY };
}

/** The largest distance of an element; NaN where there is one. */
const distance = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
