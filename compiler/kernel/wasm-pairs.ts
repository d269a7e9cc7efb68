/** Which two loops of a WebAssembly kernel go through the same rows together, some at a time, while these are in cache. */
import { type Axes, axesOf, sameAxes } from '../graph/axes.ts';
import type { Expr } from '../graph/expr.ts';
import { handleOf } from '../graph/handles.ts';
import type { ReduceStage, Stage } from '../schedule/stages.ts';
import { type Fused, keepsOutside, overwrites } from './fuse.ts';
import { expressionsOf, inputsOf, outputsOf } from './tensors.ts';
import type { Context } from './wasm-routine.ts';

/** A reduction down columns, and what is done with each of the rows that it sums, in either order. */
export interface Pair {
  readonly columns: ReduceStage;
  readonly rows: Fused;
  readonly isRowsFirst: boolean;
}

/** The loops in the same order, with neighbours that can be a pair as one. */
export function pairUp(
  context: Context,
  fused: readonly Fused[],
  layout: readonly string[],
): (Fused | Pair)[] {
  const paired: (Fused | Pair)[] = [];
  for (let i = 0; i < fused.length; i++) {
    const [first, second] = [fused[i]!, fused[i + 1]];
    const pair = second && pairOf(context, first, second, layout);
    if (pair) i++;
    paired.push(pair ?? first);
  }
  return paired;
}

function pairOf(context: Context, first: Fused, second: Fused, layout: readonly string[]): Pair | undefined {
  const isRowsFirst = first.outer.length > 0;
  const [rows, { stages }] = isRowsFirst ? [first, second] : [second, first];
  const [columns, ...others] = stages;
  const [reduced] = rows.stages;
  if (others.length > 0 || columns?.kind !== 'reduce' || keepsOutside(columns, layout)) return undefined;
  if (reduced?.kind !== 'reduce' || !sameAxes(reduced.space, columns.space)) return undefined;
  const { over } = columns.groups[0]!;
  if (!sameAxes(over, rows.outer) || !isOutermost(context, over, columns.space)) return undefined;
  // of rows, a few are done before all columns are; and what a state was is read in either
  const isFree = isRowsFirst || !(needs(rows, columns) || handsOver(context, columns));
  const isPair = context.isVectored && isFree && ![columns, ...rows.stages].some(overwrites);
  return isPair ? { columns, rows, isRowsFirst } : undefined;
}

/** Whether some axes of a space are the outermost ones in memory. */
export const isOutermost = ({ inOrder }: Context, axes: Axes, space: Axes): boolean =>
  sameAxes(axesOf(inOrder(space).slice(0, axes.length)), axes);

/** Whether a stage packs small values, which any later one may find. */
export const handsOver = ({ packed }: Context, stage: Stage): boolean =>
  stage.kind === 'reduce' && stage.groups.some((group) => packed.by(group) !== undefined);

function needs({ stages }: Fused, stage: ReduceStage): boolean {
  const produced = new Set<Expr>(outputsOf(stage).map(handleOf));
  return inputsOf(stages.flatMap(expressionsOf)).some((node) => produced.has(node));
}
