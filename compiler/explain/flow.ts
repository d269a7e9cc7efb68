/** Which named values lie between what is differentiated and what it is differentiated by. */
import { type Expr, topological } from '../graph/expr.ts';
import type { NamedValue } from './values.ts';

export interface Flow {
  /** Names that the outputs are computed from, and that do not depend on what is wanted. */
  readonly independent: readonly string[];
  /** Names between what is wanted and the outputs, through which a derivative flows. */
  readonly dependent: readonly string[];
}

interface Found {
  /** What the outputs are computed from, and they themselves. */
  readonly needed: ReadonlySet<Expr>;
  /** What depends on what is wanted, and that itself. */
  readonly live: ReadonlySet<Expr>;
  readonly flow: Flow;
}

/** `outputs` are nodes of values, or inputs that are returned as they are. */
export function flowOf(values: readonly NamedValue[], outputs: readonly Expr[], wrt: readonly Expr[]): Found {
  const needed = new Set<Expr>(outputs);
  for (const { node, expr } of [...values].reverse())
    if (needed.has(node)) for (const part of topological([expr])) needed.add(part);
  const live = new Set<Expr>(wrt);
  for (const { node, expr } of values) if (topological([expr]).some((part) => live.has(part))) live.add(node);
  const between = values.filter(({ node }) => needed.has(node));
  const names = (isLive: boolean): string[] =>
    between.filter(({ node }) => live.has(node) === isLive).map(({ name }) => name);
  return { needed, live, flow: { independent: names(false), dependent: names(true) } };
}
