/**
 * The forward as a list of named values, each a formula over the names before it. Reverse mode over this list, rather
 * than over the normal form, where names are gone, is the derivation as one would write it by hand.
 */
import { constant, input, number } from '../graph/build.ts';
import { children, type Expr, isReduction, topological } from '../graph/expr.ts';
import { type Forward, lowerClaim } from '../graph/formulas.ts';
import { recogniseMeans, transform } from '../graph/rebuild.ts';
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

/** Every value of a forward that returns depend on, operands before their users. */
export function valuesOf(forward: Forward): NamedValue[] {
  const { entry, variant, scope } = forward;
  const handles = new Map<string, Expr>();
  const isAbsent = (name: string): boolean => variant.given.get(name) === false;
  const authored: NamedValue[] = [];
  for (const named of entry.forward) {
    const whole = scope.get(named.name)!;
    const expr = meansIn([lowerClaim(named, forward, handles)])[0]!;
    const written = formulaNotation(named.formula, variant, isAbsent);
    // conditions, and what sizes alone decide, are written out where they are used
    if (whole.type === 'bool' || !readsTensors(whole)) {
      handles.set(named.name, whole);
      continue;
    }
    const node = input('input', named.name, whole.axes);
    handles.set(named.name, node);
    authored.push({ name: named.name, node, expr, ...(written && { written }), isAuthored: true });
  }
  return usedOnly(named(authored, forward), forward);
}

const readsTensors = (e: Expr): boolean => topological([e]).some((node) => node.op === 'input');

/** Sums over their counts as means, everywhere. */
export const meansIn = (roots: readonly Expr[]): Expr[] =>
  transform(roots, (e) => (e.op === 'mul' ? recogniseMeans(e) : e));

/** Gives names to reductions inside formulas and to what is used more than once. */
function named(authored: readonly NamedValue[], { entry }: Forward): NamedValue[] {
  const order = topological(authored.map(({ expr }) => expr));
  const uses = new Map<Expr, number>();
  for (const node of order) for (const child of children(node)) uses.set(child, (uses.get(child) ?? 0) + 1);
  const roots = new Map(authored.map(({ expr, node }) => [expr, node]));
  const taken = new Set([...entry.arguments, ...entry.returns, ...entry.forward].map(({ name }) => name));
  const fresh = (base: string): string => {
    let k = 1;
    while (taken.has(`${base}_${k}`)) k++;
    taken.add(`${base}_${k}`);
    return `${base}_${k}`;
  };
  const deserves = (e: Expr): boolean =>
    e.type === 'real' &&
    !isLeaf(e) &&
    readsTensors(e) &&
    (isReduction(e) || ((uses.get(e) ?? 0) > 1 && (e.op !== 'mul' || e.factors.length > 1)));
  const result: NamedValue[] = [];
  const handles = new Map<Expr, Expr>();
  const done = new Map<Expr, Expr>();
  /** The expression over names, with names made on the way for its parts, not for itself. */
  const over = (e: Expr): Expr =>
    transformOnce(e, done, (part, rebuilt) => {
      if (part === e || !deserves(part)) return rebuilt;
      const handle = handles.get(part) ?? roots.get(part);
      if (handle && result.some(({ node }) => node === handle)) return handle;
      const name = fresh(isReduction(part) ? part.op : part.op === 'call' ? part.fn : 't');
      const node = input('input', name, part.axes);
      handles.set(part, node);
      result.push({ name, node, expr: rebuilt, isAuthored: false });
      return node;
    });
  for (const value of authored) {
    const expr = over(value.expr);
    result.push({ ...value, expr });
  }
  return result;
}

const isLeaf = (e: Expr): boolean => children(e).length === 0;

/** Rebuilds one expression from the leaves up; parts found before are not rebuilt again, the root always is. */
function transformOnce(
  root: Expr,
  done: Map<Expr, Expr>,
  change: (part: Expr, rebuilt: Expr) => Expr,
): Expr {
  const known = new Map(done);
  known.delete(root);
  const order = topological([root]);
  const originals = new Map<Expr, Expr>();
  for (const part of order) {
    if (known.has(part)) continue;
    const rebuilt = rebuildOver(part, known);
    const changed = change(part, rebuilt);
    known.set(part, changed);
    originals.set(part, changed);
    if (part !== root) done.set(part, changed);
  }
  return known.get(root)!;
}
