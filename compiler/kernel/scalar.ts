/**
 * From the graph's normal form to the arithmetic that is executed: common factors taken out again, terms collected by
 * what varies, roots and quotients chosen, masks applied last. Hash-consed, like the graph.
 */
import { invariant } from '../diagnostics.ts';
import { union } from '../graph/axes.ts';
import { type Expr, type Factor, Fraction, isOne, isReduction, type Node } from '../graph/expr.ts';
import { isFiniteFactor, isMask } from '../graph/rules.ts';
import { toDouble } from '../spec/numeral.ts';
import {
  binary,
  call,
  compare,
  isNumber,
  leaf,
  logic,
  not,
  number,
  operands,
  prefix,
  type Scalar,
  select,
  truth,
} from './scalar-build.ts';

/** A term of a sum while it is being factored: coefficient × Π base ^ power. */
interface Monomial {
  readonly coefficient: Fraction;
  readonly powers: ReadonlyMap<Expr, Fraction>;
}

export interface Scalars {
  readonly of: (expr: Expr) => Scalar;
  /** How many scalars that were asked for, with all that they are computed from, use it as an operand. */
  readonly uses: (scalar: Scalar) => number;
}

/** The scalars of one kernel, or of several that share values. */
export function createScalars(): Scalars {
  const uses = new Map<Scalar, number>();
  const reached = new Set<Scalar>();
  const reach = (scalar: Scalar): void => {
    if (reached.has(scalar)) return;
    reached.add(scalar);
    for (const operand of operands(scalar)) {
      uses.set(operand, (uses.get(operand) ?? 0) + 1);
      reach(operand);
    }
  };
  return {
    of(expr) {
      const scalar = of(expr);
      reach(scalar);
      return scalar;
    },
    uses: (scalar) => uses.get(scalar) ?? 0,
  };
}

const converted = new WeakMap<Expr, Scalar>();
const one = new Fraction(1);

/** x ^ p for positive p. */
function raise(base: Expr, p: Fraction): Scalar {
  const x = of(base);
  const whole = Number(p.n / p.d);
  if (p.d > 2n || whole > 8) return call('pow', [x, number(toDouble(p))]);
  const root = p.d === 2n ? [prefix('sqrt', x)] : [];
  return [...root, ...Array<Scalar>(whole).fill(x)].reduce((a, b) => binary('*', a, b));
}

/** x ^ −p for p = k/2, k odd: powers of one reciprocal root. */
function reciprocalRoot(base: Expr, p: Fraction): Scalar {
  const root = prefix('rsqrt', of(base));
  return Array<Scalar>(Number(p.n))
    .fill(root)
    .reduce((a, b) => binary('*', a, b));
}

/** coefficient × Π factor ^ power × inner, small parts first so that loops can hoist them. */
function product(coefficient: Fraction, factors: readonly Factor[], inner?: Scalar): Scalar {
  const masked = factors.find(([f, p]) => isMask(f) && isOne(p));
  if (masked) return maskedProduct(coefficient, factors, masked, inner);
  const above: Scalar[] = [];
  const below: Scalar[] = [];
  for (const [f, p] of factors) {
    if (p.s > 0n) above.push(raise(f, p));
    else if (p.d === 2n && p.n < 16n) above.push(reciprocalRoot(f, p.neg()));
    else below.push(raise(f, p.neg()));
  }
  if (inner) above.push(inner);
  return quotient(coefficient, bySize(above), bySize(below));
}

const bySize = (scalars: Scalar[]): Scalar[] => scalars.sort((a, b) => a.axes.length - b.axes.length);

function quotient(coefficient: Fraction, above: Scalar[], below: Scalar[]): Scalar {
  let result: Scalar | undefined;
  let divisor: Scalar | undefined;
  const divide = (least: number): void => {
    while (below.length > 0 && below[0]!.axes.length <= least) {
      const next = below.shift()!;
      divisor = divisor ? binary('*', divisor, next) : next;
    }
    if (result && divisor) [result, divisor] = [binary('/', result, divisor), undefined];
  };
  const negative = coefficient.s < 0n;
  const magnitude = toDouble(coefficient.abs());
  if (magnitude !== 1 || above.length === 0) result = number(magnitude);
  for (const scalar of above) {
    if (result && !isNumber(result, 1)) divide(result.axes.length);
    result = result ? binary('*', result, scalar) : scalar;
  }
  divide(Number.POSITIVE_INFINITY);
  return negative ? prefix('negate', result!) : result!;
}

/** k·[t]·e as t ? k·e : 0, so that what is not finite where t is false stays out. */
function maskedProduct(
  coefficient: Fraction,
  factors: readonly Factor[],
  masked: Factor,
  inner?: Scalar,
): Scalar {
  const node = masked[0] as Node<'select'>;
  const others = factors.filter((factor) => factor !== masked);
  // smaller ones too where any must be: together they are one value
  const guards = !others.every(isFiniteFactor);
  const covered = ([f]: Factor): boolean => guards || f.axes.length >= node.axes.length;
  // what is masked may be a product that has a mask itself
  const { then } = node;
  const [scale, own] = then.op === 'mul' ? [then.coefficient, then.factors] : [one, [[then, one] as const]];
  const body = select(of(node.test), product(scale, [...others.filter(covered), ...own], inner), number(0));
  return product(
    coefficient,
    others.filter((factor) => !covered(factor)),
    body,
  );
}

/** A free addition: common factors out, then one term for each thing that varies. */
function addition(node: Node<'add'>): Scalar {
  const terms = node.terms.map(([c, term]): Monomial => {
    if (term.op === 'mul') return { coefficient: c.mul(term.coefficient), powers: new Map(term.factors) };
    return { coefficient: c, powers: new Map([[term, new Fraction(1)]]) };
  });
  if (node.constant.n !== 0n) terms.push({ coefficient: node.constant, powers: new Map() });
  return collected(terms);
}

function collected(terms: readonly Monomial[]): Scalar {
  const common = commonPowers(terms);
  const rest = terms.map(({ coefficient, powers }) => ({ coefficient, powers: without(powers, common) }));
  const full = union(...rest.flatMap(({ powers }) => [...powers.keys()].map((e) => e.axes)));
  const groups = new Map<string, { varying: Factor[]; small: Monomial[] }>();
  for (const { coefficient, powers } of rest) {
    const varying = [...powers].filter(([e]) => e.axes.length === full.length && full.length > 0);
    const small = new Map([...powers].filter(([e]) => e.axes.length !== full.length || full.length === 0));
    const key = varying.map(([e, p]) => `${e.id}^${p.toFraction()}`).join(' ');
    const group = groups.get(key) ?? { varying, small: [] };
    group.small.push({ coefficient, powers: small });
    groups.set(key, group);
  }
  const inner = chain([...groups.values()].flatMap((group) => groupTerms(group)));
  return common.size === 0 ? inner : product(new Fraction(1), [...common], inner);
}

/** coefficient × varying, or the terms one by one where nothing varies as the whole does. */
function groupTerms({ varying, small }: { varying: Factor[]; small: Monomial[] }): [boolean, Scalar][] {
  if (varying.length === 0 || small.length === 1) {
    return small.map(({ coefficient, powers }) => [
      coefficient.s < 0n,
      product(coefficient.abs(), [...powers, ...varying]),
    ]);
  }
  const negative = small.every(({ coefficient }) => coefficient.s < 0n);
  const signed = negative ? small.map((m) => ({ ...m, coefficient: m.coefficient.neg() })) : small;
  return [[negative, product(new Fraction(1), varying, collected(signed))]];
}

/** Largest first, positive before negative: dy − mean(dy) − … */
function chain(terms: [boolean, Scalar][]): Scalar {
  const ordered = [...terms].sort(([a, x], [b, y]) => Number(a) - Number(b) || y.axes.length - x.axes.length);
  return ordered.reduce<Scalar | undefined>((total, [negative, term]) => {
    if (!total) return negative ? prefix('negate', term) : term;
    return binary(negative ? '-' : '+', total, term);
  }, undefined)!;
}

function whole(node: Node<'add'>): Scalar {
  const terms = node.terms.map(([c, term]): [boolean, Scalar] => {
    const factors: Factor[] = [[term, new Fraction(1)]];
    if (term.op !== 'mul') return [c.s < 0n, product(c.abs(), factors)];
    return [c.s < 0n, product(c.abs().mul(term.coefficient), term.factors)];
  });
  if (node.constant.n !== 0n) terms.push([node.constant.s < 0n, number(toDouble(node.constant.abs()))]);
  return chain(terms);
}

function convert(e: Expr): Scalar {
  switch (e.op) {
    case 'number':
      return number(toDouble(e.value));
    case 'constant':
      return number(e.name === 'pi' ? Math.PI : Math.E);
    case 'truth':
      return truth(e.value);
    case 'add':
      return e.atom ? whole(e) : addition(e);
    case 'mul':
      return product(e.coefficient, e.factors);
    case 'call':
      return call(e.fn, e.args.map(of));
    case 'compare':
      return compare(e.fn, of(e.a), of(e.b));
    case 'and':
    case 'or':
      return logic(e.op, of(e.a), of(e.b));
    case 'not':
      return not(of(e.x));
    case 'select':
      return select(of(e.test), of(e.then), of(e.else));
    case 'stop':
      return of(e.x);
    default:
      invariant(isReduction(e) || ['input', 'parameter', 'size'].includes(e.op), `no scalar for ${e.op}`);
      return leaf(e);
  }
}

/** What computes an expression. */
function of(e: Expr): Scalar {
  const known = converted.get(e);
  if (known) return known;
  const scalar = convert(e);
  converted.set(e, scalar);
  return scalar;
}

/** The factors that every term has, each to the smallest power that all of them have. */
function commonPowers(terms: readonly Monomial[]): Map<Expr, Fraction> {
  const [first, ...others] = terms;
  const common = new Map<Expr, Fraction>();
  for (const [e, p] of first?.powers ?? []) {
    let least = p;
    for (const { powers } of others) {
      const q = powers.get(e);
      if (!q || q.s !== p.s) least = new Fraction(0);
      else if (q.abs().compare(least.abs()) < 0) least = q;
    }
    // what may not be finite stays with the masks that guard it, where they do in every term
    const isGuarded = !isFiniteFactor([e, p]) && terms.every(({ powers }) => [...powers.keys()].some(isMask));
    if (least.n !== 0n && terms.length > 1 && !isGuarded) common.set(e, least);
  }
  return common;
}

function without(
  powers: ReadonlyMap<Expr, Fraction>,
  common: ReadonlyMap<Expr, Fraction>,
): Map<Expr, Fraction> {
  const rest = new Map<Expr, Fraction>();
  for (const [e, p] of powers) {
    const q = p.sub(common.get(e) ?? 0);
    if (q.n !== 0n) rest.set(e, q);
  }
  return rest;
}
