/** Why the row of the variance is what it is: the same reverse mode, applied to the definition. */
import type { Axes } from '../graph/axes.ts';
import { atom, centred, input, one, power, reduce, type Step } from '../graph/build.ts';
import { type Expr, Fraction } from '../graph/expr.ts';
import { simplified } from './algebra.ts';
import { type Reverse, reverseMode } from './reverse.ts';
import type { NamedValue } from './values.ts';

export interface Lemma {
  readonly values: readonly NamedValue[];
  readonly reverse: Reverse;
  readonly steps: readonly Step[];
  readonly gradient: Expr;
  /** Names of the whole expressions, for showing the steps. */
  readonly scope: ReadonlyMap<string, Expr>;
}

/** v = mean((a − mean a)²), differentiated by the rows of mean, square and addition alone. */
export function varianceLemma(axes: Axes, over: Axes): Lemma {
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
  const reverse = reverseMode(values, [{ name: 'v', axes: kept }], [a]);
  return { values, reverse, scope, ...simplified([[whole, input('cotangent', 'v', kept)]], a) };
}
