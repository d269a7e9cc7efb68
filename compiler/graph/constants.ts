/** What is made of numbers alone, where floating point has another value for it than exact arithmetic. */
import { float64 } from './arithmetic.ts';
import { children, type Expr, type Factor, isReduction } from './expr.ts';
import { interpret } from './interpret.ts';

const known = new WeakMap<Expr, number | undefined>();

/** The value in floating point; undefined where it depends on what a call is given. */
export function constantValue(e: Expr): number | undefined {
  if (known.has(e)) return known.get(e);
  const value = isConstant(e) ? interpret([e], nothing, float64)[0]!.data[0]! : undefined;
  known.set(e, value);
  return value;
}

const isConstant = (e: Expr): boolean =>
  e.axes.length === 0 &&
  !['input', 'parameter', 'size', 'others'].includes(e.op) &&
  !isReduction(e) && // how many elements there are is for a call to say
  children(e).every((child) => constantValue(child) !== undefined);

const nothing = { sizes: new Map(), parameters: new Map(), input: () => ({ axes: [], data: [] }) };

/** Infinite or NaN whatever a call is given, because of a constant in it: less itself, or times zero, it is NaN. */
export function isNeverFinite(e: Expr): boolean {
  const value = constantValue(e);
  if (value !== undefined) return !Number.isFinite(value);
  if (e.op === 'mul') return e.factors.some(isNeverFiniteFactor);
  return e.op === 'add' && e.terms.some(([, term]) => isNeverFinite(term));
}

export function isNeverFiniteFactor([e, p]: Factor): boolean {
  const value = constantValue(e);
  return value === undefined ? p.s > 0n && isNeverFinite(e) : !Number.isFinite(float64.power(value, p));
}
