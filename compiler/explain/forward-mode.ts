/** Forward mode over named values: the tangent of each, from those of what it is computed from. */
import type { Axes } from '../graph/axes.ts';
import { input } from '../graph/build.ts';
import { jvp } from '../graph/differentiate.ts';
import { children, type Expr, topological } from '../graph/expr.ts';
import { type Flow, flowOf } from './flow.ts';
import { type RuleName, ruleOf } from './rules.ts';
import { type NamedValue, withNames } from './values.ts';

export interface TangentLine {
  /** What it is called: `xhat_t`. */
  readonly name: string;
  readonly axes: Axes;
  readonly expr: Expr;
  /** The rows that led from the tangents before it to this one. */
  readonly rules: readonly RuleName[];
}

export interface ForwardMode {
  readonly lines: readonly TangentLine[];
  readonly flow: Flow;
}

/** The derivation by hand, from the tangents that are handed in to the outputs, which are nodes of values. */
export function forwardMode(
  values: readonly NamedValue[],
  outputs: readonly Expr[],
  handed: ReadonlyMap<Expr, Expr>,
): ForwardMode {
  const { needed, flow } = flowOf(values, outputs, [...handed.keys()]);
  const tangents = new Map(handed);
  const lines: TangentLine[] = [];
  const moving = new Set<string>();
  for (const { name, node, expr } of values) {
    if (!needed.has(node)) continue;
    const parts = topological([expr]);
    const given = new Map([...tangents].filter(([operand]) => parts.includes(operand)));
    if (given.size === 0) continue;
    const t = withNames(jvp([expr], given)[0]!, values);
    lines.push({ name: `${name}_t`, axes: node.axes, expr: t, rules: rulesBetween(expr, given) });
    if (t.op === 'number') continue;
    tangents.set(node, input('tangent', name, node.axes));
    moving.add(name);
  }
  return { lines, flow: { ...flow, dependent: flow.dependent.filter((name) => moving.has(name)) } };
}

/** The rows on every way from a formula's moving operands to its value. */
function rulesBetween(root: Expr, moving: ReadonlyMap<Expr, Expr>): RuleName[] {
  const reached = new Set<Expr>(moving.keys());
  const rules = new Map<string, RuleName>();
  for (const node of topological([root])) {
    for (const operand of children(node)) {
      if (!reached.has(operand) || moving.has(node)) continue;
      const rule = ruleOf({ node, operand });
      rules.set(rule.identity, rule);
      reached.add(node);
    }
  }
  return [...rules.values()];
}
