/** Rebuilding expressions from changed parts, through the constructors, so that the normal form is kept. */
import {
  and,
  atom,
  call,
  compare,
  count,
  isNumber,
  linear,
  not,
  number,
  one,
  or,
  others,
  product,
  rawMask,
  reduce,
  rsqrt,
  select,
  stop,
} from './build.ts';
import { children, type Expr, type Factor, isOne, isReduction, type Node, topological } from './expr.ts';
import { isFiniteFactor, isMask } from './rules.ts';

/** The same operation on other operands, in the order of `children`. */
export function withChildren(e: Expr, changed: readonly Expr[]): Expr {
  if (children(e).every((child, i) => child === changed[i])) return e;
  const [a, b, c] = changed;
  switch (e.op) {
    case 'add': {
      const terms = e.terms.map(([k], i) => [k, changed[i]!] as const);
      const constant = [e.constant, number(1)] as const;
      return e.atom ? atom([...terms, constant]) : linear([...terms, constant]);
    }
    case 'mul':
      return product(
        e.coefficient,
        e.factors.map(([, p], i) => [changed[i]!, p]),
      );
    case 'call':
      return call(e.fn, ...changed);
    case 'compare':
      return compare(e.fn, a!, b!);
    case 'and':
      return and(a!, b!);
    case 'or':
      return or(a!, b!);
    case 'not':
      return not(a!);
    case 'select':
      // a mask keeps its extent: it was pushed inwards when it was built, or is meant to stay outside
      return c === e.else && isNumber(c, 0) && a!.op !== 'truth' ? rawMask(a!, b!) : select(a!, b!, c!);
    case 'others':
      return others(a!, changed.slice(1), e.among);
    case 'stop':
      return stop(a!);
    default:
      return isReduction(e) ? reduce(e.op, a!, e.over) : e;
  }
}

/** Rebuilds from the leaves up; `change` sees each node after its operands were changed. */
export function transform(roots: readonly Expr[], change: (e: Expr) => Expr): Expr[] {
  const results = new Map<Expr, Expr>();
  for (const node of topological(roots)) {
    const rebuilt = withChildren(
      node,
      children(node).map((child) => results.get(child)!),
    );
    results.set(node, change(rebuilt));
  }
  return roots.map((root) => results.get(root)!);
}

/** After differentiation: gradients flow no more, so `stop` is gone, and Σx / count(over) is a mean again. */
export const finish = (roots: readonly Expr[]): Expr[] =>
  transform(roots, (e) => (e.op === 'stop' ? e.x : e.op === 'mul' ? recogniseMeans(e) : e));

/** Σx / count(over) written as a mean, whatever else is multiplied. */
export function recogniseMeans(e: Node<'mul'>): Expr {
  for (const [total, p] of e.factors) {
    if (total.op !== 'sum' || !isOne(p)) continue;
    const powers = new Map(e.factors);
    const divided = total.over.every((axis) => {
      const power = powers.get(sizeNode(e, axis) ?? total);
      return power !== undefined && power.compare(-1) <= 0;
    });
    if (!divided) continue;
    const rest = product(e.coefficient, [
      ...e.factors.filter(([f]) => f !== total),
      [count(total.over), one],
    ]);
    const averaged = product(one, [
      [rest, one],
      [reduce('mean', total.x, total.over), one],
    ]);
    return averaged.op === 'mul' ? recogniseMeans(averaged) : averaged;
  }
  return e;
}

const sizeNode = (e: Node<'mul'>, axis: string): Expr | undefined =>
  e.factors.find(([f]) => f.op === 'size' && f.axis === axis)?.[0];

/**
 * Replaces the largest parts for which `choose` gives something. A product is never replaced as a whole unless it is
 * asked for by itself: its factors are, so that what they share with their surroundings can still be factored out.
 * A factor xᵖ with p = k/2 may be replaced through 1/√x. A mask that keeps out factors which may not be finite stays.
 */
export function cut(
  roots: readonly Expr[],
  choose: (e: Expr, asFactor: boolean) => Expr | undefined,
): Expr[] {
  const memo = new Map<Expr, Expr>();
  const visit = (e: Expr): Expr => {
    const known = memo.get(e);
    if (known) return known;
    const result = choose(e, false) ?? (e.op === 'mul' ? product(e.coefficient, factorsOf(e)) : inside(e));
    memo.set(e, result);
    return result;
  };
  const inside = (e: Expr): Expr => withChildren(e, children(e).map(visit));
  const factorsOf = ({ factors }: Node<'mul'>): Factor[] => {
    const guards = factors.some((f) => !isMask(f[0]) && !isFiniteFactor(f));
    return factors.map((f) => (guards && isMask(f[0]) ? [inside(f[0]), f[1]] : factor(f)));
  };
  const factor = ([base, p]: Factor): Factor => {
    if (p.d !== 2n) return [visit(base), p];
    const root = choose(rsqrt(base), true);
    return root ? [root, p.mul(-2)] : [visit(base), p];
  };
  return roots.map(visit);
}
