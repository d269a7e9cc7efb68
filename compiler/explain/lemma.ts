/** Why the row of the variance is what it is: the same derivation, applied to the definition. */
import type { Axes } from '../graph/axes.ts';
import { atom, centred, input, one, power, reduce, type Step } from '../graph/build.ts';
import { jvp, vjp } from '../graph/differentiate.ts';
import { type Expr, Fraction, topological } from '../graph/expr.ts';
import { recorded } from './algebra.ts';
import { forwardMode, type TangentLine } from './forward-mode.ts';
import { type Cotangent, reverseMode } from './reverse.ts';
import type { NamedValue } from './values.ts';

export interface Lemma {
  readonly mode: 'reverse' | 'forward';
  readonly values: readonly NamedValue[];
  readonly lines: readonly (Cotangent | TangentLine)[];
  readonly steps: readonly Step[];
  /** What the rule is called here: da, or v_t. */
  readonly name: string;
  readonly result: Expr;
  /** Names of the whole expressions, for showing the steps. */
  readonly scope: ReadonlyMap<string, Expr>;
}

/** About the first variance that a derivative flows through. */
export function lemmaFor(
  outputs: readonly Expr[],
  wrt: readonly Expr[],
  mode: Lemma['mode'],
): Lemma | undefined {
  const found = topological(outputs).find(
    (node) => node.op === 'var' && topological([node]).some((part) => wrt.includes(part)),
  );
  return found?.op === 'var' ? varianceLemma(found.x.axes, found.over, mode) : undefined;
}

/** v = mean((a − mean a)²), differentiated by the rows of mean, square and addition alone. */
function varianceLemma(axes: Axes, over: Axes, mode: Lemma['mode']): Lemma {
  const a = input('input', 'a', axes);
  const kept = axes.filter((axis) => !over.includes(axis));
  const value = (name: string, of: Axes, expr: Expr): NamedValue => ({
    name,
    node: input('input', name, of),
    expr,
    isAuthored: true,
  });
  const m = value('m', kept, reduce('mean', a, over));
  const difference = atom([
    [one, a],
    [new Fraction(-1), m.node],
  ]);
  const c = value('c', axes, difference);
  const v = value('v', kept, reduce('mean', power(c.node, 2), over));
  const whole = reduce('mean', power(centred(a, over), 2), over);
  const scope = new Map([
    ['c', centred(a, over)],
    ['v', whole],
  ]);
  const values = [m, c, v];
  if (mode === 'forward') {
    const moving = new Map([[a, input('tangent', 'a', axes)]]);
    const { lines } = forwardMode(values, [v.node], moving);
    return { mode, values, lines, name: 'v_t', scope, ...recorded(() => jvp([whole], moving)[0]!) };
  }
  const ct = input('cotangent', 'v', kept);
  const { cotangents } = reverseMode(values, [{ node: v.node, ct }], [a]);
  return {
    mode,
    values,
    lines: cotangents,
    name: 'da',
    scope,
    ...recorded(() => vjp([[whole, ct]], [a])[0]!),
  };
}
