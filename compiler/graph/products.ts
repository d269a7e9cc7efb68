/**
 * The derivatives of products over axes, as what can be computed in few passes. Factors that are zero are taken for ε:
 * with z of them, Π x is Q·εᶻ, of which Q is the product of the others, and 1/x is 1/ε. Derivatives are polynomials in
 * ε, so that for ε → 0 the terms Q·εᶻ/εᵏ are left of which k is z.
 */
import { add, compare, div, mask, mul, neg, not, number, power, reduce, select, sum } from './build.ts';
import { children, type Expr, type Node } from './expr.ts';
import { transform } from './rebuild.ts';
import { isMask } from './rules.ts';

/** With derivatives of products written out. What holds them is built again, so that the algebra takes hold of them. */
export function settled(root: Expr): Expr {
  const changed = new Set<Expr>();
  const change = (e: Expr): Expr => {
    if (e.op !== 'others' && !children(e).some((child) => changed.has(child))) return e;
    const again = builtAgain(e);
    changed.add(again);
    return again;
  };
  return transform([root], change)[0]!;
}

function builtAgain(e: Expr): Expr {
  if (e.op === 'others') return writtenOut(e);
  if (e.op === 'sum') return sum(e.x, e.over);
  return isMask(e) ? mask(e.test, e.then) : e;
}

/** Σ coefficient / εᵏ, by k. */
type Series = readonly Expr[];

/** direction / xᵈ, for each factor: what a derivative by it, d times, comes with. */
interface Quotient {
  readonly direction: Expr;
  readonly degree: number;
}

function writtenOut({ x, along, among }: Node<'others'>): Expr {
  const isZero = compare('==', x, number(0));
  const rest = reduce('prod', select(isZero, number(1), x), among);
  const ofZeros = sum(mask(isZero, number(1)), among);
  const atZero = ({ direction, degree }: Quotient): Series => monomial(direction, degree);
  const elsewhere = ({ direction, degree }: Quotient): Series => [mul(direction, power(x, -degree))];
  const total = (quotient: Quotient): Series =>
    plus(
      [sum(mask(not(isZero), elsewhere(quotient)[0]!), among)],
      monomial(sum(mask(isZero, quotient.direction), among), quotient.degree),
    );
  /** Σ of the products of one quotient each from different elements, none of them the one whose own are given. */
  const distinct = (quotients: readonly Quotient[], own: (quotient: Quotient) => Series): Series => {
    const last = quotients.at(-1);
    if (!last) return [number(1)];
    const before = quotients.slice(0, -1);
    const merged = before.map(({ direction, degree }, i) =>
      before.with(i, { direction: mul(direction, last.direction), degree: degree + last.degree }),
    );
    const others = times(distinct(before, own), plus(total(last), negative(own(last))));
    return merged.map((some) => negative(distinct(some, own))).reduce(plus, others);
  };
  const quotients = along.map((direction) => ({ direction, degree: 1 }));
  const leading = (k: number): Expr => mask(compare('==', ofZeros, number(k)), rest);
  const limit = (series: Series): Expr => add(...series.map((e, k) => mul(leading(k), e)));
  return select(
    isZero,
    limit(times(monomial(number(1), 1), distinct(quotients, atZero))),
    limit(distinct(quotients, elsewhere).map((e) => div(e, x))),
  );
}

const zeros = (k: number): Series => Array<Expr>(k).fill(number(0));
const monomial = (e: Expr, k: number): Series => [...zeros(k), e];
const negative = (series: Series): Series => series.map(neg);
const plus = (a: Series, b: Series): Series =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, k) => add(a[k] ?? number(0), b[k] ?? number(0)));
const times = (a: Series, b: Series): Series =>
  a.map((e, k): Series => [...zeros(k), ...b.map((f) => mul(e, f))]).reduce(plus);
