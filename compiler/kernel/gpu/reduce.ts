/** Kernels that reduce: in one go, or where there are few results, in blocks that leave partials and are then merged. */
import type { Group, ReduceStage } from '../../schedule/stages.ts';
import { storeOutputs } from '../body.ts';
import { fewBindings } from '../bound.ts';
import { below, binary, type Code, index, type Kernel, load, times } from '../kernel.ts';
import { accumulateChunks, mergeInto, openTotals } from './accumulate.ts';
import {
  type Builder,
  block,
  blocks,
  type Context,
  elementsOf,
  finishKernel,
  forLoop,
  guarded,
  openKernel,
  type Tensor,
  width,
} from './build.ts';
import { epilogue, mergeLanes } from './merge.ts';
import { stateOf, type Total } from './state.ts';
import { either, openTile, type Tile } from './tile.ts';

/** A stage of one group. Partials take a binding, of which there may be too few. */
export function reduceKernel(stage: ReduceStage, context: Context): Kernel {
  const kernel = lower(stage, context, true);
  return kernel.bindings.length > fewBindings ? lower(stage, context, false) : kernel;
}

function lower(stage: ReduceStage, context: Context, splits: boolean): Kernel {
  const builder = openKernel(context, stage, stage.space);
  const { nest, tensors, vector } = builder;
  const [reduced] = stage.groups as [Group];
  let made: Kernel['shared'] = [];
  let tile!: Tile;
  const partials: Partial[] = [];
  let totals: Total[] = [];
  const statements = nest.scope(
    [...reduced.kept],
    () => {
      tile = openTile(builder, stage, stage.space, reduced.kept, reduced.over);
      const isSpread = tile.isAcross && vector !== undefined;
      totals = openTotals(builder, reduced, isSpread);
      if (splits) partials.push(openPartials(builder, reduced, totals, isSpread));
      const accumulate = () =>
        accumulateChunks(builder, totals, tile.elements, tile.start, tile.end, isSpread, () => {
          storeOutputs(nest, tensors, stage.riders);
        });
      // all lanes have to reach the barriers; where there is no such kept index, reads alone do no harm
      if (stage.riders.length === 0) accumulate();
      else guarded(builder, { code: 'not', type: 'bool', x: tile.isOutside }, [], accumulate);
      for (const partial of partials) takePartials(builder, partial, tile);
      made = mergeLanes(builder, totals, tile);
      nest.push({ do: 'return_if', test: isOther(tile) });
      for (const partial of partials) {
        const leaves = below(index(1), blocks);
        guarded(builder, leaves, [], () => leavePartials(builder, partial));
      }
      const finished = nest.scope([], () => epilogue(builder, reduced, totals), { pinned: true });
      nest.push(...finished);
    },
    { lanes: vector },
  );
  nest.push(...statements);
  const tiles = { ...tile.tiles, splits };
  return finishKernel(
    builder,
    stage,
    tiles,
    reduced.kept,
    made,
    totals.flatMap(({ record }) => record ?? []),
    partials.map(({ buffer }) => buffer),
  );
}

/** All lanes of a kept index have its result; the first one goes on with it. */
const isOther = ({ item, isOutside }: Tile): Code => either(below(index(0), item), isOutside);

/** The states of blocks: block after block, each part of each state over the kept axes. */
interface Partial {
  readonly buffer: Tensor;
  readonly totals: readonly Total[];
  readonly isVector: boolean;
  /** The places of a block's parts. */
  readonly of: (block: Code) => (part: number) => Code;
}

function openPartials(
  builder: Builder,
  reduced: Group,
  totals: readonly Total[],
  isVector: boolean,
): Partial {
  const { tensors, inOrder, nest } = builder;
  const parts = totals.flatMap((total) => total.parts).length;
  const kept = inOrder(reduced.kept);
  const length = times(index(parts), ...kept.map(tensors.size), tensors.chosen('taken'));
  const count = elementsOf(builder, reduced.kept);
  const of = (block: Code) => {
    const first = nest.local('slot', binary('+', times(block, index(parts), count), nest.flat(kept)));
    return (part: number): Code => binary('+', first, times(index(part), count));
  };
  return { buffer: tensors.scratch('partials', kept, length), totals, isVector, of };
}

function leavePartials({ nest }: Builder, { buffer, totals, of }: Partial): void {
  const at = of(block);
  for (const [part, value] of totals.flatMap((total) => total.parts).entries())
    nest.push({ do: 'store', array: buffer.name, index: at(part), value });
  nest.push({ do: 'return_if', test: { code: 'truth', type: 'bool', value: true } });
}

function takePartials(builder: Builder, { buffer, totals, isVector, of }: Partial, { item }: Tile): void {
  forLoop(builder, [], item, builder.tensors.chosen('taken'), width, (taken) => {
    const at = of(taken);
    let part = 0;
    for (const total of totals) {
      const state = total.parts.map(({ type }): Code => {
        const value = load(buffer.name, at(part++), isVector ? 'vector' : 'real');
        return isVector && type === 'real' ? { code: 'first', type, x: value } : value;
      });
      mergeInto(builder, total, stateOf(total, state));
    }
  });
}
