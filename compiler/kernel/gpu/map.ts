/** Kernels that compute element by element. */
import { type Axes, axesOf, difference, isSubset, overlaps, sameAxes, union } from '../../graph/axes.ts';
import type { Expr } from '../../graph/expr.ts';
import type { ProgramOutput } from '../../schedule/program.ts';
import type { Stage } from '../../schedule/stages.ts';
import { storeOutputs } from '../body.ts';
import { mostStorageBuffers } from '../bound.ts';
import type { Kernel } from '../kernel.ts';
import { inputsOf } from '../tensors.ts';
import { block, type Context, finishKernel, guarded, openKernel, openWalk, walk } from './build.ts';
import { inParts, leave } from './parts.ts';
import { both, equalsZero, openTile, rangeOf, type Tile } from './tile.ts';

/** A kernel for each space, with what is as small as what the kernel keeps; and more where one would bind too much. */
export function mapKernels(outputs: readonly ProgramOutput[], context: Context): Kernel[] {
  const [largest] = [...outputs].sort((a, b) => b.axes.length - a.axes.length);
  if (!largest) return [];
  const space = axesOf(largest.axes);
  const isWhole = ({ axes }: ProgramOutput): boolean => sameAxes(axesOf(axes), space);
  const whole = outputs.filter(isWhole);
  const kept = keptOf(outputs, space, context);
  // one lane stores what is small, when others may not have read it yet
  const isOwn = (output: ProgramOutput): boolean =>
    isWhole(output) || (sameAxes(axesOf(output.axes), kept) && overwritten([output], whole).length === 0);
  const fitting = (own: readonly ProgramOutput[]): Kernel[] => {
    const kernel = mapKernel(own, space, kept, context);
    if (!context.isCut || kernel.bindings.length <= mostStorageBuffers) return [kernel];
    if (own.length === 1) {
      if (!context.isInParts) return [kernel];
      const parts = inParts([context.scalars.of(own[0]!.expr)], context, mostStorageBuffers - 1);
      return [...parts.kernels, mapKernel(own, space, kept, parts.context)];
    }
    const half = Math.ceil(own.length / 2);
    return inTurn(own.slice(0, half), own.slice(half), (part) => mapKernels(part, context));
  };
  /** Kernels for some outputs, and then for others, which need the old values of the states among the first. */
  const inTurn = (
    first: readonly ProgramOutput[],
    second: readonly ProgramOutput[],
    kernelsOf: (outputs: readonly ProgramOutput[]) => Kernel[],
  ): Kernel[] => {
    const old = leave(overwritten(first, second).map(context.scalars.of), context);
    return [...old.kernels, ...kernelsOf(first), ...mapKernels(second, old.context)];
  };
  const rest = outputs.filter((output) => !isOwn(output));
  return inTurn(outputs.filter(isOwn), rest, fitting);
}

/** The states among some outputs that others read. */
function overwritten(outputs: readonly ProgramOutput[], readers: readonly ProgramOutput[]): Expr[] {
  const states = new Set(outputs.flatMap(({ role, of }) => (role === 'state' ? [of] : [])));
  return inputsOf(readers.map(({ expr }) => expr)).filter(
    (node) => node.role === 'input' && states.has(node.of),
  );
}

/** What a kernel keeps, so that what is over it is read once. */
function keptOf(outputs: readonly ProgramOutput[], space: Axes, { inOrder }: Context): Axes {
  const axes = outputs.map((output) => axesOf(output.axes));
  const whole = outputs.filter((_, i) => sameAxes(axes[i]!, space));
  const small = inputsOf(whole.map(({ expr }) => expr)).filter((node) => node.axes.length < space.length);
  const kept = union(...small.map((node) => node.axes), []);
  const [rows, columns] = [inOrder(space).slice(0, -1), inOrder(space).slice(-1)].map(axesOf) as [Axes, Axes];
  if (sameAxes(kept, space)) return isReadAcross(small, columns) ? columns : rows;
  // as small an output needs no kernel of its own; otherwise rows, which lie in one piece
  const isOutput = axes.some((own) => sameAxes(own, kept));
  return kept.length === 0 || isOutput || !isSubset(kept, rows) ? kept : rows;
}

/** Whether vectors along the innermost axis, with nothing else in them, are more to read again than reals are. */
function isReadAcross(small: readonly Expr[], columns: Axes): boolean {
  const vectors = small.filter((node) => overlaps(node.axes, columns));
  return (
    vectors.every((node) => sameAxes(node.axes, columns)) &&
    4 * vectors.length > small.length - vectors.length
  );
}

function mapKernel(outputs: readonly ProgramOutput[], space: Axes, kept: Axes, context: Context): Kernel {
  const stage: Stage = { kind: 'map', outputs };
  const builder = openKernel(context, [stage], space);
  const { nest, tensors, vector } = builder;
  const isWhole = ({ axes }: ProgramOutput): boolean => axes.length === space.length;
  const small = outputs.filter((output) => !isWhole(output));
  let tile!: Tile;
  const statements = nest.scope(
    kept,
    () => {
      tile = openTile(builder, [stage], space, kept, difference(space, kept));
      nest.push({ do: 'return_if', test: tile.isOutside });
      const [start, end] = rangeOf(builder, tile);
      walk(builder, tile.elements, start, end, openWalk(builder, tile.elements, start), () => {
        storeOutputs(nest, tensors, outputs.filter(isWhole));
      });
      const isOwner = both(equalsZero(tile.item), equalsZero(block));
      if (small.length > 0) guarded(builder, isOwner, [], () => storeOutputs(nest, tensors, small));
    },
    { lanes: vector },
  );
  nest.push(...statements);
  return finishKernel(builder, [stage], tile.tiles, kept);
}
