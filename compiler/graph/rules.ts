/**
 * The algebra of reductions: each row is one identity, tried in this order when a reduction is built.
 * A row may assume finite values where it says so; none takes a centred difference apart.
 */
import { type Axes, difference, intersection, overlaps, union } from './axes.ts';
import {
  add,
  count,
  expand,
  freeSum,
  isNumber,
  linear,
  mask,
  mul,
  number,
  one,
  power,
  product,
  rawMask,
  reduce,
  scale,
  sum,
  variance,
} from './build.ts';
import { type Expr, type Factor, Fraction, isOne, isReduction, type Node, type Term } from './expr.ts';

export interface Rule<Context> {
  readonly name: string;
  readonly identity: string;
  /** What the row replaces, built without rewriting: for showing and for testing the row alone. */
  readonly before: (x: Expr, context: Context) => Expr;
  /** The replacement, or undefined where the row does not apply. */
  readonly apply: (x: Expr, context: Context) => Expr | undefined;
}

const sumRule = (name: string, identity: string, apply: Rule<Axes>['apply']): Rule<Axes> => ({
  name,
  identity,
  before: (x, over) => reduce('sum', x, over),
  apply,
});

export const sumRules: readonly Rule<Axes>[] = [
  sumRule('count what repeats', 'Σₐ k → k · count(a), k free of a', countRepeats),
  // before factors are pulled out, so that those which the mask guards stay under it
  sumRule('pull out of a masked sum', 'Σₐ [t]·e → [t] · Σₐ e, t free of a', pullOutOfMask),
  sumRule('pull out of a sum', 'Σₐ k·e → k · Σₐ e, k free of a', pullOut),
  sumRule('merge nested sums', 'Σₐ f · Σᵦ e → Σₐᵦ f·e, f free of b', mergeNested),
  sumRule('distribute over an addition', 'Σₐ (e + f) → Σₐ e + Σₐ f', distribute),
  sumRule('expand a square', 'Σₐ k·(e + f)² → Σₐ k·(e + f)·e + Σₐ k·(e + f)·f', expandSquare),
  sumRule('centred values sum to zero', 'Σₐ (x − meanₐ x) → 0, for finite x', vanish),
  sumRule('squares of centred values', 'Σₐ (x − meanₐ x)² → count(a) · varₐ x', centredSquare),
];

function countRepeats(x: Expr, over: Axes): Expr | undefined {
  const repeated = difference(over, x.axes);
  if (repeated.length === 0) return undefined;
  return mul(count(repeated), sum(x, intersection(over, x.axes)));
}

/** Factors that share no summed axis with the others are summed on their own. */
function pullOut(x: Expr, over: Axes): Expr | undefined {
  if (x.op !== 'mul') return undefined;
  const groups: { axes: Axes; factors: Factor[] }[] = [];
  const free: Factor[] = [];
  for (const factor of x.factors) {
    let axes = intersection(factor[0].axes, over);
    if (axes.length === 0) {
      free.push(factor);
      continue;
    }
    const factors = [factor];
    for (let i = groups.length - 1; i >= 0; i--) {
      const group = groups[i]!;
      if (!overlaps(group.axes, axes)) continue;
      axes = union(axes, group.axes);
      factors.unshift(...group.factors);
      groups.splice(i, 1);
    }
    groups.push({ axes, factors });
  }
  if (free.length === 0 && groups.length === 1 && isOne(x.coefficient)) return undefined;
  return mul(
    product(x.coefficient, free),
    ...groups.map((group) => sum(product(one, group.factors), group.axes)),
  );
}

function mergeNested(x: Expr, over: Axes): Expr | undefined {
  if (x.op === 'sum') return sum(x.x, union(x.over, over));
  if (x.op !== 'mul') return undefined;
  const inner = x.factors.find(([f, p]) => f.op === 'sum' && isOne(p))?.[0] as Node<'sum'> | undefined;
  if (!inner) return undefined;
  const rest = product(
    x.coefficient,
    x.factors.filter(([f]) => f !== inner),
  );
  if (overlaps(rest.axes, inner.over)) return undefined;
  return sum(mul(rest, inner.x), union(over, inner.over));
}

/** Terms that are tried, and reductions of their own that they may become without more being gained. */
const [mostTerms, mostReductions] = [1000, 8];

/**
 * Terms are summed each on its own where what they have in common shows: where they cancel, share reductions, or need a
 * pass less over the data. Otherwise each is a reduction more, and in higher orders of norms of norms they are hundreds.
 */
function distribute(x: Expr, over: Axes): Expr | undefined {
  const terms = termsOf(x);
  if (terms > mostTerms) return undefined;
  const result = takeApart(x, over);
  if (!result) return undefined;
  const most = result.depth > x.depth ? mostReductions : 2 * mostReductions;
  return reductionsIn(result).size <= Math.max(most, terms / 2) ? result : undefined;
}

function takeApart(x: Expr, over: Axes): Expr | undefined {
  if (x.op === 'add' && !x.atom) return distributed(x, over);
  if (x.op !== 'mul') return undefined;
  const free = freeSum(x);
  return free && linear(expand(x, free).map(([c, term]): Term => [c, sum(term, over)]));
}

const knownTerms = new WeakMap<Expr, number>();

/** How many terms there are when all products of free additions are multiplied out. */
export function termsOf(e: Expr): number {
  const known = knownTerms.get(e);
  if (known !== undefined) return known;
  let terms = 1;
  if (e.op === 'add' && !e.atom)
    terms = e.terms.reduce((n, [, term]) => n + termsOf(term), e.constant.equals(0) ? 0 : 1);
  if (e.op === 'mul')
    for (const [factor, p] of e.factors) if (p.d === 1n && p.s > 0n) terms *= termsOf(factor) ** Number(p.n);
  knownTerms.set(e, terms);
  return terms;
}

/** The outermost reductions of sums and products. */
function reductionsIn(e: Expr, found = new Set<Expr>(), seen = new Set<Expr>()): Set<Expr> {
  if (seen.has(e)) return found;
  seen.add(e);
  if (isReduction(e)) found.add(e);
  else if (e.op === 'add') for (const [, term] of e.terms) reductionsIn(term, found, seen);
  else if (e.op === 'mul') for (const [factor] of e.factors) reductionsIn(factor, found, seen);
  return found;
}

const distributed = (x: Node<'add'>, over: Axes): Expr =>
  add(linear(x.terms.map(([c, term]): Term => [c, sum(term, over)])), scale(x.constant, count(over)));

function expandSquare(x: Expr, over: Axes): Expr | undefined {
  if (x.op !== 'mul') return undefined;
  const square = x.factors.find(([f, p]) => f.op === 'add' && !f.atom && p.equals(2))?.[0] as
    | Node<'add'>
    | undefined;
  if (!square) return undefined;
  const rest = product(
    x.coefficient,
    x.factors.filter(([f]) => f !== square),
  );
  const terms = square.terms.map(([c, term]): Term => [c, sum(mul(rest, square, term), over)]);
  return linear([...terms, [square.constant, sum(mul(rest, square), over)]]);
}

function vanish(x: Expr, over: Axes): Expr | undefined {
  if (x.op !== 'add' || !x.atom) return undefined;
  return isNumber(distributed(x, over), 0) ? number(0) : undefined;
}

/** Σₐ (e + r)² with r free of a is count·var(e) exactly when Σₐ (e + r) vanishes. */
function centredSquare(x: Expr, over: Axes): Expr | undefined {
  if (x.op !== 'mul' || x.factors.length !== 1 || !isOne(x.coefficient)) return undefined;
  const [base, p] = x.factors[0]!;
  if (base.op !== 'add' || !p.equals(2) || !isNumber(distributed(base, over), 0)) return undefined;
  const varying = base.terms.filter(([, term]) => overlaps(term.axes, over));
  if (varying.length !== 1) return undefined;
  const [c, e] = varying[0]!;
  return mul(power(number(c), 2), count(over), variance(e, over));
}

function pullOutOfMask(x: Expr, over: Axes): Expr | undefined {
  const factors: readonly Factor[] = x.op === 'mul' ? x.factors : [[x, one]];
  const masked = factors.find(([f, p]) => isMask(f) && isOne(p) && !overlaps(f.test.axes, over));
  if (!masked) return undefined;
  const { test, then } = masked[0] as Node<'select'>;
  const rest = product(
    x.op === 'mul' ? x.coefficient : one,
    factors.filter((factor) => factor !== masked),
  );
  return mask(test, sum(mul(rest, then), over));
}

export const isMask = (e: Expr): e is Node<'select'> =>
  e.op === 'select' && e.type === 'real' && isNumber(e.else, 0);

const maskRule = (name: string, identity: string, apply: Rule<Expr>['apply']): Rule<Expr> => ({
  name,
  identity,
  before: (x, test) => rawMask(test, x),
  apply,
});

/** [t]·e stands for `t ? e : 0`. */
export const maskRules: readonly Rule<Expr>[] = [
  maskRule('mask zero', '[t]·0 → 0', (x) => (isNumber(x, 0) ? x : undefined)),
  maskRule('mask twice', '[t]·[t]·e → [t]·e', (x, test) => (isMask(x) && x.test === test ? x : undefined)),
  maskRule('distribute a mask', '[t]·(e + f) → [t]·e + [t]·f', (x, test) => {
    if (x.op !== 'add' || x.atom) return undefined;
    const terms = x.terms.map(([c, term]): Term => [c, mask(test, term)]);
    return linear([...terms, [x.constant, mask(test, number(1))]]);
  }),
  maskRule('pull out of a mask', '[t]·(k·e) → k · [t]·e, k of fewer axes and always finite', (x, test) => {
    if (x.op === 'number') return isOne(x.value) ? undefined : scale(x.value, rawMask(test, number(1)));
    if (x.op !== 'mul') return undefined;
    const full = union(test.axes, x.axes).length;
    const isOut = (factor: Factor): boolean => factor[0].axes.length < full && isFiniteFactor(factor);
    const small = x.factors.filter(isOut);
    if (small.length === 0 && isOne(x.coefficient)) return undefined;
    const rest = product(
      new Fraction(1),
      x.factors.filter((factor) => !isOut(factor)),
    );
    return mul(product(x.coefficient, small), mask(test, rest));
  }),
];

const finiteCalls: ReadonlySet<string> = new Set([
  'tanh',
  'sigmoid',
  'sin',
  'cos',
  'erf',
  'abs',
  'sign',
  'floor',
  'relu',
  'softplus',
  'min',
  'max',
  'clamp',
]);

/** A whole positive power of what is always finite. */
export const isFiniteFactor = ([f, p]: Factor): boolean => p.d === 1n && p.s > 0n && isAlwaysFinite(f);

/** Finite whatever the data, so that times zero it is zero: what may stand outside a guard. */
function isAlwaysFinite(e: Expr): boolean {
  switch (e.op) {
    case 'input':
      return e.role !== 'saved' && e.role !== 'scratch'; // these hold what was computed, 1/√0 among it
    case 'add':
      return e.terms.every(([, term]) => isAlwaysFinite(term));
    case 'mul':
      return e.factors.every(isFiniteFactor);
    case 'call':
      return finiteCalls.has(e.fn) && e.args.every(isAlwaysFinite);
    case 'select':
      return isAlwaysFinite(e.then) && isAlwaysFinite(e.else);
    case 'sum':
    case 'mean':
    case 'var':
    case 'amax':
    case 'amin':
    case 'stop':
      return isAlwaysFinite(e.x);
    case 'prod':
    case 'others':
      return false; // products overflow soon
    default:
      return true;
  }
}
