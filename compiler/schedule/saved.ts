/** What forward saves for the other directions. */
import { type Axes, isStrictSubset, isSubset, sameAxes } from '../graph/axes.ts';
import { input } from '../graph/build.ts';
import { children, type Expr, isReduction, topological } from '../graph/expr.ts';
import type { Forward } from '../graph/formulas.ts';
import { cut, finish } from '../graph/rebuild.ts';
import type { ProgramOutput } from './program.ts';
import { mustBeExact } from './stages.ts';

export interface SavedValues {
  /** The expression with what forward saves replaced by saved inputs, and finished. */
  readonly use: (expr: Expr) => Expr;
  /** What was saved and is not a return anyway. */
  readonly outputs: () => ProgramOutput[];
}

/**
 * Decides what forward saves: the results of reductions over the primal inputs, and of state, which a later call may
 * overwrite; never anything as large as the data.
 */
export function savedValues(forward: Forward, order: (axes: Axes) => string[]): SavedValues {
  const returns = new Map<Expr, string>();
  for (const { name, expr, axes } of forward.returns) {
    const finished = finish([expr])[0]!;
    if (sameAxes(finished.axes, axes)) returns.set(finished, name);
  }
  const inner = new Map<Expr, string>();
  // arguments and returns keep their names to themselves
  const outer = new Set([...forward.entry.arguments, ...forward.returns].map(({ name }) => name));
  for (const [name, expr] of forward.scope) if (!outer.has(name)) inner.set(finish([expr])[0]!, name);
  const states = new Set(
    forward.entry.arguments.flatMap((a) => (a.kind === 'tensor' && a.state ? [a.name] : [])),
  );
  const taken = new Set([...forward.scope.keys(), ...forward.returns.map(({ name }) => name)]);
  const saved = new Map<Expr, ProgramOutput | undefined>();
  const nameOf = (expr: Expr): string => {
    const own = returns.get(expr) ?? inner.get(expr);
    if (own !== undefined) return own;
    let k = 1;
    while (taken.has(`saved_${k}`)) k++;
    taken.add(`saved_${k}`);
    return `saved_${k}`;
  };
  const names = new Map<Expr, string>();
  const choose = (e: Expr, asFactor: boolean): Expr | undefined => {
    if (e.op === 'mul' && !asFactor && !returns.has(e)) return undefined;
    if (!isSavable(e, states)) return undefined;
    const name = names.get(e) ?? nameOf(e);
    names.set(e, name);
    if (!saved.has(e)) {
      saved.set(e, returns.has(e) ? undefined : { role: 'saved', of: name, axes: order(e.axes), expr: e });
    }
    return input('saved', name, e.axes);
  };
  // a gradient is used by every subset that it belongs to
  const used = new Map<Expr, Expr>();
  const use = (expr: Expr): Expr => {
    const known = used.get(expr) ?? cut(finish([expr]), choose)[0]!;
    used.set(expr, known);
    return known;
  };
  return {
    use,
    outputs: () => [...saved.values()].filter((output) => output !== undefined),
  };
}

function isSavable(e: Expr, states: ReadonlySet<string>): boolean {
  if (e.type === 'bool' || !isPrimal(e)) return false;
  const inside = topological([e]);
  const reductions = inside.filter(isReduction);
  if (mustBeExact(e)) return false; // it is computed again
  if (reductions.length > 0) {
    const inputs = inside.filter((node) => node.op === 'input');
    return inputs.some((data) => isStrictSubset(e.axes, data.axes));
  }
  const state = inside.filter((node) => node.op === 'input' && states.has(node.of));
  return state.some((node) => isSubset(e.axes, node.axes));
}

const knownPrimal = new WeakMap<Expr, boolean>();

/** Whether an expression rests on nothing but the op's own inputs. */
export function isPrimal(e: Expr): boolean {
  if (!knownPrimal.has(e)) {
    for (const node of topological([e]))
      knownPrimal.set(
        node,
        node.op === 'input' ? node.role === 'input' : children(node).every((child) => knownPrimal.get(child)),
      );
  }
  return knownPrimal.get(e)!;
}
