/** Kernels that compute what is as small as kept indices, and hand it over to one that would bind too much otherwise. */
import { type Axes, sameAxes } from '../../graph/axes.ts';
import type { Stage } from '../../schedule/stages.ts';
import { mostStorageBuffers } from '../bound.ts';
import type { Kernel } from '../kernel.ts';
import { inputsIn, leavesOf, type Packing, type Preparation, packedIndex } from '../pack.ts';
import type { Scalar } from '../scalar-build.ts';
import { expressionsOf, inputsOf } from '../tensors.ts';
import { type Context, finishKernel, openKernel, openWalk, walk } from './build.ts';
import { openTile, rangeOf, type Tile } from './tile.ts';

/** What could be computed before for some stages; undefined if it is no use. */
export function preparationFor(stages: readonly Stage[]): Preparation | undefined {
  const inputs = inputsOf(stages.flatMap(expressionsOf));
  const most = Math.max(...inputs.map(({ axes }) => axes.length));
  const small = inputs.filter(({ axes, role }) => axes.length < most && role !== 'scratch');
  const alike = (axes: Axes): number => small.filter((other) => sameAxes(other.axes, axes)).length;
  const [largest] = [...small].sort((a, b) => alike(b.axes) - alike(a.axes));
  if (!largest || alike(largest.axes) < 2) return undefined;
  return { kind: 'preparation', kept: largest.axes };
}

/** As many as it takes for each to bind few buffers. */
export function prepareKernels(preparation: Preparation, context: Context): Kernel[] {
  const packing = context.packed.by(preparation);
  if (!packing) return [];
  const parts: (readonly [Scalar, number])[][] = [];
  for (const slot of packing.slots) {
    const last = parts.at(-1);
    const together = new Set([...(last ?? []), slot].flatMap(([scalar]) => inputsIn(scalar)));
    if (last && together.size < mostStorageBuffers) last.push(slot);
    else parts.push([slot]);
  }
  return parts.map((slots) => prepareKernel(preparation.kept, packing, slots, context));
}

/** A kernel that leaves some of the values that are handed over. */
export function prepareKernel(
  kept: Axes,
  packing: Packing,
  slots: readonly (readonly [Scalar, number])[],
  context: Context,
): Kernel {
  const builder = openKernel(context, [], kept, { ...packing, slots: new Map(slots) });
  const { nest, size, vector } = builder;
  let tile!: Tile;
  const statements = nest.scope(
    [],
    () => {
      tile = openTile(builder, [readingOf(slots)], kept, [], kept);
      nest.push({ do: 'return_if', test: tile.isOutside });
      const [start, end] = rangeOf(builder, tile);
      walk(builder, tile.elements, start, end, openWalk(builder, tile.elements, start), () => {
        for (const [scalar, slot] of slots) {
          const value = nest.scalar(scalar);
          const index = packedIndex(packing, slot, nest.flat(packing.kept), size);
          nest.push({ do: 'store', array: packing.buffer.name, index, value });
        }
      });
    },
    { lanes: vector },
  );
  nest.push(...statements);
  return finishKernel(builder, [], tile.tiles, []);
}

/** A stage that reads what some values rest on, which may have only some of the axes that are walked along. */
const readingOf = (slots: readonly (readonly [Scalar, number])[]): Stage => ({
  kind: 'map',
  outputs: slots
    .flatMap(([scalar]) => leavesOf(scalar))
    .map((expr) => ({ role: 'scratch', of: '', axes: [...expr.axes], expr })),
});
