/**
 * The forward as a list of named values, each a formula over the names before it. Reverse mode over this list, rather
 * than over the normal form, where names are gone, is the derivation as one would write it by hand.
 */
import { input } from '../graph/build.ts';
import { children, type Expr, isReduction, topological } from '../graph/expr.ts';
import { type Forward, lowerClaim } from '../graph/formulas.ts';
import { cut, recogniseMeans, transform, withChildren } from '../graph/rebuild.ts';
import type { Named } from '../spec/spec.ts';
import { formulaNotation } from './from-formula.ts';
import type { Notation } from './notation.ts';

export interface NamedValue {
  readonly name: string;
  /** Stands for the value in the formulas after it. */
  readonly node: Expr;
  /** Over arguments and earlier names. */
  readonly expr: Expr;
  /** As the author wrote it, where the variant leaves it so; nothing for a name the compiler gave. */
  readonly written?: Notation;
  readonly isAuthored: boolean;
}

/** Every value of a forward, operands before their users. */
export function valuesOf(forward: Forward): NamedValue[] {
  const { entry, scope } = forward;
  const handles = new Map<string, Expr>();
  const authored: NamedValue[] = [];
  for (const named of entry.forward) {
    const whole = scope.get(named.name)!;
    const expr = meansIn([lowerClaim(named, forward, handles)])[0]!;
    const written = writtenIn(forward, named);
    // conditions, and what sizes alone decide, are written out where they are used
    if (whole.type === 'bool' || !readsTensors(whole)) {
      handles.set(named.name, whole);
      continue;
    }
    const node = input('input', named.name, whole.axes);
    handles.set(named.name, node);
    authored.push({ name: named.name, node, expr, ...(written && { written }), isAuthored: true });
  }
  return withParts(
    authored,
    [...entry.arguments, ...entry.returns, ...entry.forward].map(({ name }) => name),
  );
}

/** The returns that read no tensor, which `valuesOf` leaves out: nothing is differentiated through them. */
export function constantReturns(forward: Forward): NamedValue[] {
  const { entry, returns } = forward;
  return returns.flatMap(({ name, axes, expr }): NamedValue[] => {
    if (readsTensors(expr)) return [];
    const formula = entry.forward.find((named) => named.name === name);
    const written = formula && writtenIn(forward, formula);
    const node = input('input', name, axes);
    return [{ name, node, expr, ...(written && { written }), isAuthored: true }];
  });
}

const writtenIn = ({ variant }: Forward, { formula }: Named): Notation | undefined =>
  formulaNotation(formula, variant, (name) => variant.given.get(name) === false);

const readsTensors = (e: Expr): boolean => topological([e]).some((node) => node.op === 'input');

/** Sums over their counts as means, everywhere. */
export const meansIn = (roots: readonly Expr[]): Expr[] =>
  transform(roots, (e) => (e.op === 'mul' ? recogniseMeans(e) : e));

/** Gives names, none of them taken, to reductions inside formulas and to what is used more than once. */
export function withParts(authored: readonly NamedValue[], taken: readonly string[]): NamedValue[] {
  const order = topological(authored.map(({ expr }) => expr));
  const uses = new Map<Expr, number>();
  for (const node of order) for (const child of children(node)) uses.set(child, (uses.get(child) ?? 0) + 1);
  const fresh = freshNames(taken);
  const deserves = (e: Expr): boolean =>
    e.type === 'real' && readsTensors(e) && !isLeaf(e) && (isReduction(e) || (uses.get(e) ?? 0) > 1);
  const handles = new Map<Expr, Expr>();
  const bodyOf = (e: Expr): Expr => {
    const memo = new Map<Expr, Expr>(handles);
    const visit = (part: Expr): Expr => {
      const known = memo.get(part);
      if (known) return known;
      const rebuilt = withChildren(part, children(part).map(visit));
      memo.set(part, rebuilt);
      return rebuilt;
    };
    return withChildren(e, children(e).map(visit));
  };
  const result: NamedValue[] = [];
  for (const value of authored) {
    for (const part of topological([value.expr])) {
      if (part === value.expr || handles.has(part) || !deserves(part)) continue;
      const name = fresh(isReduction(part) ? part.op : part.op === 'call' ? part.fn : 't');
      const node = input('input', name, part.axes);
      result.push({ name, node, expr: bodyOf(part), isAuthored: false });
      handles.set(part, node);
    }
    result.push({ ...value, expr: bodyOf(value.expr) });
    if (!isLeaf(value.expr)) handles.set(value.expr, value.node);
  }
  return result;
}

const isLeaf = (e: Expr): boolean => children(e).length === 0;

/** Names that nothing else has: `sum1`, `sum2`; kernels number theirs otherwise, `sum_1`. */
export function freshNames(used: readonly string[]): (base: string) => string {
  const taken = new Set(used);
  return (base) => {
    let k = 1;
    while (taken.has(`${base}${k}`)) k++;
    taken.add(`${base}${k}`);
    return `${base}${k}`;
  };
}

/** What has a name goes by it, means among that. */
export function withNames(e: Expr, values: readonly NamedValue[]): Expr {
  const known = new Map(values.filter(({ expr }) => children(expr).length > 0).map((v) => [v.expr, v.node]));
  return cut(meansIn([e]), (part) => known.get(part))[0]!;
}

/** The same expression over the arguments alone: names replaced by what they stand for. */
export function spelledOut(exprs: readonly Expr[], values: readonly NamedValue[]): Expr[] {
  const whole = new Map<Expr, Expr>();
  const spell = (e: Expr): Expr => transform([e], (part) => whole.get(part) ?? part)[0]!;
  for (const { node, expr } of values) whole.set(node, spell(expr));
  return exprs.map(spell);
}
