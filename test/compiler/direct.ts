/** Formulas evaluated as their author wrote them: by hand, element by element, without the compiler's graph. */
import type { Formula, ReductionFunction, UnaryFunction } from '../../compiler/spec/spec.ts';

/** Positions along axes. */
export type Place = ReadonlyMap<string, number>;

export interface Scope {
  readonly sizes: ReadonlyMap<string, number>;
  /** Tensors, numbers and earlier names. */
  readonly names: ReadonlyMap<string, (at: Place) => number>;
  readonly flags: ReadonlyMap<string, boolean>;
  readonly given: ReadonlyMap<string, boolean>;
}

const unary: { readonly [K in UnaryFunction]: (x: number) => number } = {
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  exp: Math.exp,
  log: Math.log,
  log1p: Math.log1p,
  expm1: Math.expm1,
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  relu: (x) => Math.max(x, 0),
  softplus: (x) => Math.log1p(Math.exp(x)),
  erf: (x) => integral((t) => (2 / Math.sqrt(Math.PI)) * Math.exp(-t * t), x),
  sin: Math.sin,
  cos: Math.cos,
  abs: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
};

/** From 0 to x, by Simpson's rule. */
function integral(f: (t: number) => number, x: number): number {
  const n = 2000;
  let total = f(0) + f(x);
  for (let i = 1; i < n; i++) total += (i % 2 === 0 ? 2 : 4) * f((i * x) / n);
  return (total * x) / n / 3;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number => sum(values) / values.length;
const reductions: { readonly [K in ReductionFunction]: (values: readonly number[]) => number } = {
  sum,
  mean,
  var: (values) => mean(values.map((v) => (v - mean(values)) ** 2)),
  amax: (values) => Math.max(...values),
  amin: (values) => Math.min(...values),
  prod: (values) => values.reduce((a, b) => a * b, 1),
};

const comparisons = {
  '<': (a: number, b: number) => a < b,
  '<=': (a: number, b: number) => a <= b,
  '>': (a: number, b: number) => a > b,
  '>=': (a: number, b: number) => a >= b,
  '==': (a: number, b: number) => a === b,
  '!=': (a: number, b: number) => a !== b,
};

/** Every place along some axes, from a place along others. */
function places(axes: readonly string[], sizes: ReadonlyMap<string, number>, at: Place): Place[] {
  return axes.reduce<Place[]>(
    (found, axis) =>
      found.flatMap((place) =>
        Array.from({ length: sizes.get(axis)! }, (_, i) => new Map([...place, [axis, i]])),
      ),
    [at],
  );
}

/** The value at a place; a truth value is 0 or 1. Calls of other entries are not known here. */
export function evaluate(formula: Formula, scope: Scope, at: Place): number {
  const value = (of: Formula): number => evaluate(of, scope, at);
  const isTrue = (of: Formula): boolean => value(of) !== 0;
  switch (formula.kind) {
    case 'number':
      return Number(formula.text);
    case 'constant':
      return formula.name === 'pi' ? Math.PI : Math.E;
    case 'true':
      return 1;
    case 'false':
      return 0;
    case 'name':
      return scope.names.get(formula.name)?.(at) ?? Number(scope.flags.get(formula.name));
    case 'sum':
      return sum(formula.terms.map(({ negative, of }) => (negative ? -value(of) : value(of))));
    case 'multiply':
      return value(formula.a) * value(formula.b);
    case 'divide':
      return value(formula.a) / value(formula.b);
    case 'power':
      return value(formula.a) ** value(formula.b);
    case 'negate':
      return -value(formula.of);
    case 'compare':
      return Number(comparisons[formula.operator](value(formula.a), value(formula.b)));
    case 'and':
      return Number(isTrue(formula.a) && isTrue(formula.b));
    case 'or':
      return Number(isTrue(formula.a) || isTrue(formula.b));
    case 'not':
      return Number(!isTrue(formula.of));
    case 'select':
      return isTrue(formula.test) ? value(formula.then) : value(formula.else);
    case 'unary':
      return unary[formula.fn](value(formula.of));
    case 'binary': {
      const fn = { min: Math.min, max: Math.max, pow: Math.pow }[formula.fn];
      return fn(value(formula.a), value(formula.b));
    }
    case 'clamp':
      return Math.min(Math.max(value(formula.of), value(formula.low)), value(formula.high));
    case 'reduce': {
      const values = places(formula.over, scope.sizes, at).map((place) => evaluate(formula.of, scope, place));
      return reductions[formula.fn](values);
    }
    case 'count':
      return formula.over.reduce((n, axis) => n * scope.sizes.get(axis)!, 1);
    case 'given':
      return Number(scope.given.get(formula.name) ?? true);
    case 'stop_gradient':
      return value(formula.of);
    case 'op':
      throw new Error(`${formula.entry} is another entry`);
  }
}
