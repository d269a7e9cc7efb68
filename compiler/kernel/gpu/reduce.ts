/** Kernels that reduce: in one go, or where there are few results, in blocks that leave partials and are then merged. */
import { handleOf } from '../../graph/handles.ts';
import type { ProgramOutput } from '../../schedule/program.ts';
import type { Group, MapStage, ReduceStage } from '../../schedule/stages.ts';
import { storeOutputs } from '../body.ts';
import { mostStorageBuffers } from '../bound.ts';
import { below, type Code, index, type Kernel, name } from '../kernel.ts';
import { expressionsOf } from '../tensors.ts';
import {
  type Builder,
  block,
  blocks,
  type Context,
  finishKernel,
  guarded,
  openKernel,
  openWalk,
  type Tensor,
  walk,
} from './build.ts';
import { defineResults, epilogue } from './merge.ts';
import { inParts } from './parts.ts';
import { partialsOf, placesOf, reductionOf } from './reduction.ts';
import type { Total } from './state.ts';
import { both, either, equalsZero, openTile, rangeOf, type Tile } from './tile.ts';

/** A stage of one group. Partials take a binding, of which there may be too few. */
export function reduceKernel(stage: ReduceStage, context: Context): Kernel {
  const kernel = lower(stage, undefined, context, true);
  return kernel.bindings.length > mostStorageBuffers ? lower(stage, undefined, context, false) : kernel;
}

/** The same, and where it would bind too much, kernels before it that leave parts of what it reads. */
export function reduceKernels(stage: ReduceStage, context: Context): Kernel[] {
  const kernel = reduceKernel(stage, context);
  if (!context.isInParts || kernel.bindings.length <= mostStorageBuffers) return [kernel];
  const [group] = stage.groups as [Group];
  const written = kernel.bindings.filter(({ access }) => access !== 'read').length;
  const roots = [
    ...expressionsOf(stage).map(context.scalars.of),
    ...(context.packed.by(group)?.slots.keys() ?? []),
  ];
  // one buffer is for partials
  const own = new Set(group.epilogue.map(handleOf));
  const parts = inParts(roots, context, mostStorageBuffers - written - 1, own);
  return [...parts.kernels, reduceKernel(stage, parts.context)];
}

/**
 * A stage of one group, and a map that goes on from it: in one go; or where kept indices are cut into blocks, first all
 * partial results, and then each block merges those that it needs and maps its elements.
 */
export const fusedKernel = (stage: ReduceStage, map: MapStage, context: Context, splits: boolean): Kernel =>
  lower(stage, map, context, splits);

function lower(stage: ReduceStage, map: MapStage | undefined, context: Context, splits: boolean): Kernel {
  const stages = map ? [stage, map] : [stage];
  const [group] = stage.groups as [Group];
  const partials = splits ? partialsOf(context, group) : undefined;
  const reduction = reductionOf(stage, stages, context, partials);
  const builder = openKernel(context, stages, stage.space, context.packed.by(group));
  const { nest, names, tensors, vector } = builder;
  let tile!: Tile;
  const statements = nest.scope(
    [...group.kept],
    () => {
      tile = openTile(builder, stages, stage.space, group.kept, group.over);
      const { name: fn, returns, parameters } = reduction.function;
      const places = parameters.slice(1).map((place) => name(place, 'index'));
      const id = names.fresh('total');
      const type = typeof returns === 'object' ? 'record' : returns;
      nest.push({
        do: 'let',
        name: id,
        value: { code: 'make', type, name: fn, args: [tile.result, ...places] },
      });
      const totals = reduction.totalsIn(id);
      // all lanes of a kept index have its result; the first one leaves partials, or goes on with it unless all do
      const leaves = map ? equalsZero(tensors.chosen('mapped')) : below(index(1), blocks);
      const isOther = below(index(0), tile.item);
      const isDone = !map ? isOther : splits ? both(isOther, leaves) : undefined;
      nest.push({ do: 'return_if', test: isDone ? either(isDone, tile.isOutside) : tile.isOutside });
      if (partials) guarded(builder, leaves, [], () => leavePartials(builder, group, totals, partials));
      const finished = nest.scope(
        [],
        () => {
          defineResults(builder, group, totals);
          if (map) goOn(builder, group, map, tile, splits);
          else epilogue(builder, group);
        },
        { pinned: true },
      );
      nest.push(...finished);
    },
    { lanes: vector },
  );
  nest.push(...statements);
  const tiles = { ...tile.tiles, splits, ...(map && { maps: true }) };
  return finishKernel(builder, stages, tiles, group.kept, reduction, partials);
}

/** Computes a block's elements from the group's results; what is as small as those is the first lane's. */
function goOn(builder: Builder, group: Group, map: MapStage, tile: Tile, splits: boolean): void {
  const { nest, tensors } = builder;
  const isSmall = ({ axes }: ProgramOutput): boolean => axes.length === group.kept.length;
  for (const output of group.epilogue)
    if (output.role !== 'state') nest.define(handleOf(output), output.of, () => nest.value(output.expr));
  const [start, end]: readonly [Code, Code] = splits
    ? rangeOf(builder, tile, 'mapped')
    : [tile.item, tile.tiles.over];
  walk(builder, tile.elements, start, end, openWalk(builder, tile.elements, start), () => {
    const whole = map.outputs.filter((output) => !isSmall(output));
    storeOutputs(nest, tensors, whole);
  });
  guarded(
    builder,
    splits ? both(equalsZero(tile.item), equalsZero(block)) : equalsZero(tile.item),
    [],
    () => {
      epilogue(builder, group);
      storeOutputs(nest, tensors, map.outputs.filter(isSmall));
    },
  );
}

function leavePartials(builder: Builder, group: Group, totals: readonly Total[], partials: Tensor): void {
  const { nest } = builder;
  const at = placesOf(builder, group, totals, block);
  for (const [part, value] of totals.flatMap((total) => total.parts).entries())
    nest.push({ do: 'store', array: partials.name, index: at(part), value });
  nest.push({ do: 'return_if', test: { code: 'truth', type: 'bool', value: true } });
}
