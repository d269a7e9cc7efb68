/**
 * Constructors of the graph's normal form: n-ary sums of coefficient × term, n-ary products of factor ^ power,
 * collected and ordered when built, so that like terms meet and equal values are the same node.
 */

import { exactFraction, exactPower, holds } from '../spec/numeral.ts';
import type { Comparison } from '../spec/spec.ts';
import { type Axes, axesOf, overlaps, union } from './axes.ts';
import { constantValue, isNeverFinite, isNeverFiniteFactor } from './constants.ts';
import {
  type Call,
  compareExprs,
  type Expr,
  type Factor,
  Fraction,
  type InputRole,
  intern,
  isOne,
  type Node,
  type Reduction,
  type Term,
} from './expr.ts';
import { maskRules, type Rule, sumRules, termsOf } from './rules.ts';

export const one = new Fraction(1);
const zeroFraction = new Fraction(0);

/** An exact number: 0.1 is a tenth. Like all constants it has no axes, so it repeats along any. */
export const number = (value: Fraction | number | string | bigint): Expr =>
  intern({ op: 'number', value: fractionOf(value) }, []);

function fractionOf(value: Fraction | number | string | bigint): Fraction {
  if (value instanceof Fraction) return value;
  return Number.isSafeInteger(value) ? new Fraction(value) : exactFraction(String(value));
}

/** π or e, which no fraction is. */
export const constant = (name: 'pi' | 'e'): Expr => intern({ op: 'constant', name }, []);
/** A condition that always holds or never does. */
export const truth = (value: boolean): Expr => intern({ op: 'truth', value }, [], 'bool');
/** A number that a call gives by name. */
export const parameter = (name: string): Expr => intern({ op: 'parameter', name }, []);
/** The number of elements along an axis. */
export const size = (axis: string): Expr => intern({ op: 'size', axis }, []);
/** A tensor that is known by name: `of` in the role `role`, over named axes, whose order does not matter. */
export const input = (role: InputRole, of: string, axes: Iterable<string>): Expr => {
  const sorted = axesOf(axes);
  return intern({ op: 'input', role, of, axes: sorted }, sorted);
};

/** Whether it is a number, and this one where one is given. */
export const isNumber = (e: Expr, value?: number): e is Node<'number'> =>
  e.op === 'number' && (value === undefined || e.value.equals(value));

/** The number of elements over some axes. */
export const count = (axes: Axes): Expr => mul(...axes.map(size));

/** Σ of the operands. Free: it flattens, and later sums over axes distribute over it. */
export const add = (...operands: readonly Expr[]): Expr =>
  combine(
    operands.map((e) => [one, e]),
    false,
  );
/** a − b, free. */
export const sub = (a: Expr, b: Expr): Expr =>
  combine(
    [
      [one, a],
      [new Fraction(-1), b],
    ],
    false,
  );
/** An addition that the author wrote, or one that must stay whole for stability. */
export const atom = (terms: readonly Term[]): Expr => combine(terms, true);
/** Σ coefficient × term, free. */
export const linear = (terms: readonly Term[]): Expr => combine(terms, false);

/** Π of the operands, over the axes of them all; powers of one base meet. */
export const mul = (...operands: readonly Expr[]): Expr =>
  product(
    one,
    operands.map((e) => [e, one]),
  );
/** a · b⁻¹. */
export const div = (a: Expr, b: Expr): Expr =>
  product(one, [
    [a, one],
    [b, new Fraction(-1)],
  ]);
/** The coefficient times e. */
export const scale = (coefficient: Fraction | number, e: Expr): Expr =>
  product(new Fraction(coefficient), [[e, one]]);
export const neg = (e: Expr): Expr => scale(-1, e);
/** e ^ p for a rational p. */
export const power = (e: Expr, p: Fraction | number): Expr => product(one, [[e, new Fraction(p)]]);
/** 1/√e. */
export const rsqrt = (e: Expr): Expr => power(e, new Fraction(-1, 2));

/** A product of sums is multiplied out, so that terms meet, if it has no more terms, and the addition it is part of. */
const [mostOfProduct, mostOfSum] = [20, 256];

const times = (a: Fraction, b: Fraction): Fraction => (isOne(a) ? b : isOne(b) ? a : a.mul(b));

function combine(operands: readonly Term[], isAtom: boolean): Expr {
  const coefficients = new Map<Expr, Fraction>();
  let total = zeroFraction;
  const push = (c: Fraction, e: Expr): void => {
    if (c.n === 0n) return;
    const expanded =
      e.op === 'mul' && !isAtom && coefficients.size < mostOfSum ? multipliedOut(e) : undefined;
    if (expanded) {
      for (const [k, term] of expanded) push(times(c, k), term);
    } else if (e.op === 'number') {
      total = total.add(c.mul(e.value));
    } else if (e.op === 'add' && !e.atom && !isAtom) {
      total = total.add(c.mul(e.constant));
      for (const [k, term] of e.terms) push(times(c, k), term);
    } else if (e.op === 'mul' && !isOne(e.coefficient)) {
      push(times(c, e.coefficient), product(one, e.factors));
    } else {
      const before = coefficients.get(e);
      const cancels = before !== undefined && before.s !== c.s && isNeverFinite(e);
      if (cancels) coefficients.set(mul(undefinedNumber, e), one);
      coefficients.set(e, cancels ? zeroFraction : (before?.add(c) ?? c));
    }
  };
  for (const [c, e] of operands) push(c, e);
  const terms = [...coefficients].filter(([, c]) => c.n !== 0n).map(([e, c]): Term => [c, e]);
  const [first] = terms;
  if (!first) return number(total);
  if (terms.length === 1 && total.n === 0n) return scale(first[0], first[1]);
  terms.sort((a, b) => compareExprs(a[1], b[1]));
  return intern({ op: 'add', atom: isAtom, terms, constant: total }, union(...terms.map(([, e]) => e.axes)));
}

/** The terms of a product of a free sum, unless they are too many. */
function multipliedOut(e: Node<'mul'>): Term[] | undefined {
  const over = freeSum(e);
  return over && termsOf(e) <= mostOfProduct ? expand(e, over) : undefined;
}

/** The first factor of a product that is a free sum, to the first power. */
export const freeSum = (e: Node<'mul'>): Node<'add'> | undefined =>
  e.factors.find(([f, p]) => f.op === 'add' && !f.atom && isOne(p))?.[0] as Node<'add'> | undefined;

/** k·(a + b) as the terms k·a, k·b. */
export function expand(e: Node<'mul'>, over: Node<'add'>): Term[] {
  const rest = product(
    e.coefficient,
    e.factors.filter(([f]) => f !== over),
  );
  const terms = over.terms.map(([c, term]): Term => [c, mul(rest, term)]);
  return over.constant.n === 0n ? terms : [...terms, [over.constant, rest]];
}

/** coefficient × Π factor ^ power, flattened and collected. Zero times a constant that is not finite is NaN. */
export function product(coefficient: Fraction, operands: readonly Factor[]): Expr {
  const powers = new Map<Expr, Fraction>();
  let total = coefficient;
  let isUndefined = false;
  const collect = (e: Expr, p: Fraction): void => {
    const before = powers.get(e);
    if (before && before.s !== p.s) isUndefined ||= [before, p].some((q) => isNeverFiniteFactor([e, q]));
    powers.set(e, before?.add(p) ?? p);
  };
  const push = (e: Expr, p: Fraction): void => {
    if (p.n === 0n) return;
    if (e.op === 'number') {
      const exact = exactPower(e.value, p);
      if (exact) total = total.mul(exact);
      else collect(e, p);
    } else if (e.op === 'mul' && powerDistributes(e, p)) {
      push(number(e.coefficient), p);
      for (const [f, q] of e.factors) push(f, times(q, p));
    } else {
      collect(e, p);
    }
  };
  for (const [e, p] of operands) push(e, p);
  isUndefined ||= total.n === 0n && [...powers].some(isNeverFiniteFactor);
  if (isUndefined) {
    const others = [...powers].filter(([e]) => constantValue(e) === undefined);
    return product(one, [[undefinedNumber, one], ...others]);
  }
  if (total.n === 0n) return number(0);
  const factors = [...powers].filter(([, p]) => p.n !== 0n);
  const [first] = factors;
  if (!first) return number(total);
  if (factors.length === 1 && isOne(first[1])) {
    const [e] = first;
    if (isOne(total)) return e;
    if (e.op === 'add' && !e.atom) {
      const terms = e.terms.map(([c, term]): Term => [c.mul(total), term]);
      return combine([...terms, [total, number(e.constant)]], false);
    }
  }
  factors.sort((a, b) => compareExprs(a[0], b[0]));
  return intern({ op: 'mul', coefficient: total, factors }, union(...factors.map(([e]) => e.axes)));
}

/** (Π fᵢ^qᵢ)^p = Π fᵢ^(qᵢp): always for whole p; for fractions only where nothing can be negative. */
function powerDistributes(e: Node<'mul'>, p: Fraction): boolean {
  if (p.d === 1n) return true;
  return e.coefficient.s >= 0n && e.factors.every(([f, q]) => isNonnegative(f) || q.d % 2n === 0n);
}

/** Known to be ≥ 0 (or NaN) whatever the inputs are. */
function isNonnegative(e: Expr): boolean {
  switch (e.op) {
    case 'number':
      return e.value.s >= 0n;
    case 'constant':
    case 'size':
    case 'var':
      return true;
    case 'call':
      return ['exp', 'sigmoid', 'softplus', 'relu', 'abs'].includes(e.fn);
    case 'mul':
      return (
        e.coefficient.s >= 0n &&
        e.factors.every(([f, p]) => isNonnegative(f) || p.d % 2n === 0n || p.n % 2n === 0n)
      );
    case 'add':
      return e.constant.s >= 0n && e.terms.every(([c, t]) => c.s >= 0n && isNonnegative(t));
    case 'sum':
    case 'mean':
    case 'amax':
    case 'amin':
    case 'prod':
      return isNonnegative(e.x);
    case 'select':
      return isNonnegative(e.then) && isNonnegative(e.else);
    default:
      return false;
  }
}

/** The function of arguments that are repeated along the axes they lack. */
export const call = (fn: Call, ...args: readonly Expr[]): Expr =>
  intern({ op: 'call', fn, args }, union(...args.map((a) => a.axes)));

export function compare(fn: Comparison, a: Expr, b: Expr): Expr {
  if (a.op === 'number' && b.op === 'number') return truth(holds(fn, a.value, b.value));
  return intern({ op: 'compare', fn, a, b }, union(a.axes, b.axes), 'bool');
}

export function not(x: Expr): Expr {
  if (x.op === 'truth') return truth(!x.value);
  return x.op === 'not' ? x.x : intern({ op: 'not', x }, x.axes, 'bool');
}

export function and(a: Expr, b: Expr): Expr {
  if (a.op === 'truth') return a.value ? b : a;
  if (b.op === 'truth') return b.value ? a : b;
  return a === b ? a : intern({ op: 'and', a, b }, union(a.axes, b.axes), 'bool');
}

export function or(a: Expr, b: Expr): Expr {
  if (a.op === 'truth') return a.value ? a : b;
  if (b.op === 'truth') return b.value ? b : a;
  return a === b ? a : intern({ op: 'or', a, b }, union(a.axes, b.axes), 'bool');
}

/** `then` where the test holds, and `otherwise` elsewhere; zero on one side makes it a mask. */
export function select(test: Expr, then: Expr, otherwise: Expr): Expr {
  if (test.op === 'truth') return test.value ? then : otherwise;
  if (then === otherwise) return then;
  if (isNumber(otherwise, 0)) return mask(test, then);
  if (isNumber(then, 0)) return mask(not(test), otherwise);
  return intern(
    { op: 'select', test, then, else: otherwise },
    union(test.axes, then.axes, otherwise.axes),
    then.type,
  );
}

/** e where the test holds and 0 elsewhere, even where e is not finite there. */
export function mask(test: Expr, e: Expr): Expr {
  if (test.op === 'truth') return test.value ? e : number(0);
  return rewrite(maskRules, e, test) ?? rawMask(test, e);
}

/** A mask without any rewriting. */
export const rawMask = (test: Expr, e: Expr): Expr =>
  intern({ op: 'select', test, then: e, else: number(0) }, union(test.axes, e.axes));

/** Σ of x over axes; axes that x lacks count its value that many times. */
export const sum = (x: Expr, over: Axes): Expr =>
  over.length === 0 ? x : (rewrite(sumRules, x, axesOf(over)) ?? reduce('sum', x, over));

/** The node itself, without any rewriting. */
export function reduce(op: Reduction, x: Expr, over: Axes): Expr {
  const sorted = axesOf(over);
  return intern(
    { op, x, over: sorted },
    x.axes.filter((axis) => !sorted.includes(axis)),
  );
}

/** Σ of x over axes, divided by their count. */
export const mean = (x: Expr, over: Axes): Expr => div(sum(x, over), count(axesOf(over)));

/** Biased variance. Repeating a value along an axis it lacks does not change it. */
export function variance(x: Expr, over: Axes): Expr {
  const own = over.filter((axis) => x.axes.includes(axis));
  return own.length === 0 ? number(0) : reduce('var', x, own);
}

/** The greatest or least x over axes. Repeating a value along an axis it lacks does not change it. */
export function extremum(op: 'amax' | 'amin', x: Expr, over: Axes): Expr {
  const own = over.filter((axis) => x.axes.includes(axis));
  return own.length === 0 ? x : reduce(op, x, own);
}

/** Π of x over axes; a factor that lacks an axis is raised to that axis's size. */
export function prod(x: Expr, over: Axes): Expr {
  const own = over.filter((axis) => x.axes.includes(axis));
  const repeated = axesOf(over).filter((axis) => !own.includes(axis));
  const inner = own.length === 0 ? x : reduce('prod', x, own);
  return repeated.length === 0 ? inner : call('pow', inner, count(repeated));
}

/** The derivative of Π x by each element, along further directions, in each of which it is linear. */
export function others(x: Expr, along: readonly Expr[], among: Axes): Expr {
  const outer: Factor[] = [];
  const inner = along.map((direction) => {
    const parts: readonly Factor[] = direction.op === 'mul' ? direction.factors : [[direction, one]];
    const isOuter = ([f]: Factor): boolean => !overlaps(f.axes, among);
    outer.push(...parts.filter(isOuter), [number(direction.op === 'mul' ? direction.coefficient : one), one]);
    return product(
      one,
      parts.filter((part) => !isOuter(part)),
    );
  });
  inner.sort(compareExprs);
  const node = intern({ op: 'others', x, along: inner, among }, union(x.axes, ...inner.map((e) => e.axes)));
  return product(one, [...outer, [node, one]]);
}

/** x, of which no derivative is taken. */
export const stop = (x: Expr): Expr => (x.op === 'stop' ? x : intern({ op: 'stop', x }, x.axes));

/** NaN, which no fraction is. */
const undefinedNumber = call('log', number(-1));

/** x − meanₐ x, kept whole. */
export const centred = (x: Expr, over: Axes): Expr =>
  atom([
    [one, x],
    [new Fraction(-1), mean(x, over)],
  ]);

/** A step of the algebra, as `explain` shows it. */
export interface Step {
  readonly rule: string;
  readonly identity: string;
  readonly before: Expr;
  readonly after: Expr;
  /** The steps that parts of it took on the way. */
  readonly inner: readonly Step[];
}

let observer: ((step: Step) => void) | undefined;

/** Runs `body` and reports each rewrite that it caused, with those inside it; not what rules tried in vain. */
export function observed<T>(onStep: (step: Step) => void, body: () => T): T {
  const previous = observer;
  observer = onStep;
  try {
    return body();
  } finally {
    observer = previous;
  }
}

/** What the first rule that applies makes of it. */
export function rewrite<Context>(
  rules: readonly Rule<Context>[],
  x: Expr,
  context: Context,
): Expr | undefined {
  const report = observer;
  for (const rule of rules) {
    const inner: Step[] = [];
    const apply = (): Expr | undefined => rule.apply(x, context);
    const after = report ? observed((step) => void inner.push(step), apply) : apply();
    if (!after) continue;
    report?.({ rule: rule.name, identity: rule.identity, before: rule.before(x, context), after, inner });
    return after;
  }
  return undefined;
}
