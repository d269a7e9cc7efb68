/**
 * Sums of what derivatives consist of, in which a value less its weighted mean stays whole. By w, m = Σ w·a / Σ w has the
 * derivative (a − m) / Σ w, but the rules of products and sums give a / Σ w and −Σ w·a / (Σ w)², which cancel where a is
 * far from zero. The same is true of the cotangent of w in w / Σ w, which is (ct − Σ w·ct / Σ w) / Σ w.
 */
import { type Axes, difference, isStrictSubset, isSubset, overlaps, sameAxes } from './axes.ts';
import {
  add,
  atom,
  isNumber,
  mul,
  neg,
  number,
  observed,
  one,
  power,
  product,
  rewrite,
  scale,
  sum,
} from './build.ts';
import { type Expr, type Factor, Fraction, isOne, type Node } from './expr.ts';
import type { Rule } from './rules.ts';

/** What a term becomes together with another one that is added to it. */
export const additionRules: readonly Rule<Expr>[] = [
  {
    name: 'keep a value less its weighted mean',
    identity: 'k·e − k · Σₐ w·e / Σₐ w → k·(e − Σₐ w·e / Σₐ w), and the same under a sum',
    before: add,
    apply: centre,
  },
];

/** Σ of the operands, by the rules of additions. */
export function gather(...operands: readonly Expr[]): Expr {
  const total = add(...operands);
  if (total.op !== 'add' || total.atom) return total;
  const terms = total.terms.map(([c, term]) => scale(c, term));
  for (const mean of terms) {
    if (!tried(() => openingsOf(mean).some(({ body }) => hasDivisor(body)))) continue;
    for (const value of terms) {
      const whole = value === mean ? undefined : rewrite(additionRules, value, mean);
      if (!whole) continue;
      const others = terms.filter((term) => term !== mean && term !== value);
      return gather(number(total.constant), ...others, whole);
    }
  }
  return total;
}

/** A term as Σ body, over no axes or some. */
interface Opening {
  readonly body: Expr;
  readonly over: Axes;
}

/** The term as it is, and with all of it under one of its sums, over all of its axes or over those of a divisor. */
function openingsOf(term: Expr): Opening[] {
  const coefficient = term.op === 'mul' ? term.coefficient : one;
  const factors = factorsOf(term);
  const divisors = factors.filter(isDivisor).map(([f]) => (f as Node<'sum'>).over);
  const sums = factors.flatMap(([f, p]): Opening[] => {
    if (f.op !== 'sum' || !isOne(p)) return [];
    const rest = product(
      coefficient,
      factors.filter(([other]) => other !== f),
    );
    const parts = divisors.filter((over) => isStrictSubset(over, f.over));
    return [f.over, ...parts]
      .filter((over) => !overlaps(rest.axes, over))
      .map((over) => ({ body: mul(rest, sum(f.x, difference(f.over, over))), over }));
  });
  return [{ body: term, over: [] }, ...sums];
}

const factorsOf = (e: Expr): readonly Factor[] => (e.op === 'mul' ? e.factors : [[e, one]]);

const hasDivisor = (body: Expr): boolean => body.op === 'mul' && body.factors.some(isDivisor);

/** 1 / Σ w, or a power of it. */
const isDivisor = ([f, p]: Factor): boolean => f.op === 'sum' && p.s < 0n && p.d === 1n;

function centre(value: Expr, mean: Expr): Expr | undefined {
  const [values, means] = tried(() => [openingsOf(value), openingsOf(mean)]);
  for (const v of values) {
    for (const m of means) {
      const whole = sameAxes(v.over, m.over) ? centreTerms(v.body, m.body) : undefined;
      if (whole) return sum(whole, v.over);
    }
  }
  return undefined;
}

/** Of two products, the second of which has both sums among its factors. */
function centreTerms(value: Expr, mean: Expr): Expr | undefined {
  if (mean.op !== 'mul') return undefined;
  for (const [weights] of mean.factors.filter(isDivisor) as [Node<'sum'>, Fraction][]) {
    for (const [weighted, p] of mean.factors) {
      if (weighted.op !== 'sum' || !isOne(p) || !isSubset(weights.over, weighted.over)) continue;
      const average = mul(weighted, power(weights, -1));
      const e = neg(mul(value, average, power(mean, -1)));
      if (!isNumber(e) && isFactor(e, value) && isWeighted(e, weights, weighted))
        return mul(
          value,
          power(e, -1),
          atom([
            [one, e],
            [new Fraction(-1), average],
          ]),
        );
    }
  }
  return undefined;
}

/** Whether a sum is that of the values times the weights. */
const isWeighted = (e: Expr, { x, over }: Node<'sum'>, weighted: Node<'sum'>): boolean =>
  tried(() => sum(mul(e, x), over)) === weighted;

/** Builds something to look at: what is rewritten in it is no step of a derivation. */
const tried = <T>(body: () => T): T => observed(() => {}, body);

/** Whether a term has all of its factors, so that dividing by it divides by nothing that may be zero. */
function isFactor(e: Expr, term: Expr): boolean {
  const powers = new Map(factorsOf(term));
  return factorsOf(e).every(([f, p]) => {
    const there = powers.get(f);
    return there?.s === p.s && there.abs().compare(p.abs()) >= 0;
  });
}
