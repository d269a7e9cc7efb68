/** How much of a result rounding may take: a graph evaluated with a running error bound beside each value. */
import { type Arithmetic, float64 } from '../../compiler/graph/arithmetic.ts';
import { toDouble } from '../../compiler/spec/numeral.ts';

/** A value, and a bound on its error in units of the rounding (2^-24 in f32), to first order. */
export interface Rounded {
  readonly value: number;
  readonly error: number;
}

const exact = (value: number): Rounded => ({ value, error: 0 });
const rounded = (value: number, error: number): Rounded => ({ value, error: error + Math.abs(value) });

/** Running error analysis (N. Higham, Accuracy and Stability of Numerical Algorithms, 3.3). */
export const rounding: Arithmetic<Rounded> = {
  fraction: (value) => exact(toDouble(value)),
  number: exact,
  constant: (name) => exact(float64.constant(name)),
  add: (a, b) => rounded(a.value + b.value, a.error + b.error),
  mul: (a, b) => rounded(a.value * b.value, times(a.error, b.value) + times(b.error, a.value)),
  div: (a, b) => {
    const value = a.value / b.value;
    return rounded(value, (a.error + times(b.error, value)) / Math.abs(b.value));
  },
  power: (a, p) => through((x) => float64.power(x, p), a),
  call: (fn, args) => {
    const values = args.map(({ value }) => value);
    const errors = args.map((arg, i) => {
      const alone = (x: number): number => float64.call(fn, values.with(i, x));
      return through(alone, arg).error;
    });
    const value = float64.call(fn, values);
    return rounded(
      value,
      errors.reduce((a, b) => a + b, 0),
    );
  },
  compare: (fn, a, b) => float64.compare(fn, a.value, b.value),
  toNumber: ({ value }) => value,
};

const times = (error: number, factor: number): number => (error === 0 ? 0 : error * Math.abs(factor));

/** The error grows with the slope, here measured. */
function through(f: (x: number) => number, { value, error }: Rounded): Rounded {
  const result = f(value);
  const step = 1e-6 * Math.max(Math.abs(value), 1e-3);
  const slope = (f(value + step) - f(value - step)) / (2 * step);
  return rounded(result, Number.isFinite(slope) ? times(error, slope) : error);
}
