/** How the expressions of one derivation are written: its axis order, its names, its notations. */
import type { Expr } from '../graph/expr.ts';
import { createScalars } from '../kernel/scalar.ts';
import type { Derivation } from './derivation.ts';
import { exprNotation, type InOrder } from './from-expr.ts';
import { scalarNotation } from './from-scalar.ts';
import type { Notation } from './notation.ts';
import { freshNames, type NamedValue } from './values.ts';

export interface Writer {
  /** Makes the anchors of a variant's sections unique in a document of several. */
  readonly id: string;
  readonly inOrder: InOrder;
  /** As the graph has it. */
  readonly write: (e: Expr) => Notation;
  /** As kernels compute it. */
  readonly collect: (e: Expr) => Notation;
  /** New names that nothing in the derivation has. */
  readonly fresh: () => (base: string) => string;
}

/** `start` are named values besides those of the forward. */
export function writerFor(
  { entry, values }: Derivation,
  id: string,
  start: readonly NamedValue[] = [],
): Writer {
  const inOrder: InOrder = (axes) => {
    const known = entry.axes.filter((axis) => axes.includes(axis));
    return [...known, ...axes.filter((axis) => !known.includes(axis))];
  };
  const scalars = createScalars();
  const write = exprNotation(inOrder);
  const scalar = scalarNotation(scalars, inOrder);
  const names = [...entry.arguments, ...entry.returns, ...entry.forward, ...values, ...start].map(
    ({ name }) => name,
  );
  return { id, inOrder, write, collect: (e) => scalar(scalars.of(e)), fresh: () => freshNames(names) };
}
