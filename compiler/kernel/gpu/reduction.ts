/** The function that reduces: the totals of a kept index, or of one of its blocks. */
import type { Group, ReduceStage, Stage } from '../../schedule/stages.ts';
import { storeOutputs } from '../body.ts';
import { namesIn, prune } from '../collect.ts';
import {
  binary,
  type Code,
  index,
  load,
  name,
  type RecordType,
  type ReduceFunction,
  type SharedArray,
  times,
} from '../kernel.ts';
import { createScalars, type Scalars } from '../scalar.ts';
import { operands, type Scalar } from '../scalar-build.ts';
import { accumulateChunks, mergeInto, openTotals } from './accumulate.ts';
import {
  type Builder,
  type Context,
  elementsOf,
  forLoop,
  guarded,
  openKernel,
  type Tensor,
  width,
} from './build.ts';
import { joined } from './merge.ts';
import { mergeOf, realsOf, stateOf, type Total, type Totals, totalOf, totalsOf } from './state.ts';
import { openTile, rangeOf, type Tile } from './tile.ts';

/** Of the lane in the dispatch. */
const places = ['group', 'own'];

export interface Reduction {
  readonly function: ReduceFunction;
  readonly shared: readonly SharedArray[];
  readonly records: readonly RecordType[];
  /** The totals that it returns, where that is in a local of this name. */
  readonly totalsIn: (id: string) => readonly Total[];
}

/**
 * All lanes that share a kept index return its totals. `partials` are taken in where there are some; `stages` are all of
 * the kernel's.
 */
export function reductionOf(
  stage: ReduceStage,
  stages: readonly Stage[],
  context: Context,
  partials: Tensor | undefined,
): Reduction {
  // the same whatever else the program computes, unless that left something for it
  const findsNothing = reachedBy(stage, context.scalars).every((scalar) => !context.packed.found(scalar));
  const own = findsNothing ? { ...context, scalars: createScalars() } : context;
  const [group] = stage.groups as [Group];
  const builder = openKernel(own, stages, stage.space, context.packed.by(group));
  const { nest, names, tensors, vector } = builder;
  const result = names.fresh('result');
  let all!: Code;
  let totals!: Totals;
  let isSpread = false;
  const statements = nest.scope(
    [...group.kept],
    () => {
      const tile = openTile(builder, [stage], stage.space, group.kept, group.over, name(result, 'index'));
      const [start, end] = rangeOf(builder, tile);
      isSpread = tile.isAcross && vector !== undefined;
      totals = openTotals(builder, group, isSpread);
      const accumulate = () =>
        accumulateChunks(builder, totals.each, tile.elements, start, end, isSpread, () => {
          storeOutputs(nest, tensors, stage.riders);
        });
      // all lanes have to reach the barriers; where there is no such kept index, reads alone do no harm
      if (stage.riders.length === 0) accumulate();
      else guarded(builder, { code: 'not', type: 'bool', x: tile.isOutside }, [], accumulate);
      if (partials) takePartials(builder, group, totals.each, partials, tile);
      all = joined(totals, tile);
    },
    { lanes: vector },
  );
  nest.push(...statements);
  const body = prune(nest.finish());
  const used = namesIn([...body, { do: 'let', name: '', value: all }]);
  return {
    function: {
      name: 'reduced',
      parameters: [result, ...places.filter((place) => used.has(place)), 'numbers'],
      body,
      result: all,
      returns: totals.type,
      merge: mergeOf(group.accumulations, isSpread),
    },
    shared: [{ name: 'merged', type: totals.type, reals: realsOf(totals.type) }],
    records: totals.records,
    totalsIn: (id) => totalsOf(id, group.accumulations, isSpread).each,
  };
}

/** All that a stage's reductions are computed from. */
function reachedBy({ groups, riders }: ReduceStage, scalars: Scalars): Scalar[] {
  const exprs = [
    ...groups.flatMap((g) => g.accumulations.map(({ x }) => x)),
    ...riders.map(({ expr }) => expr),
  ];
  const all = new Set(exprs.map(scalars.of));
  for (const scalar of all) for (const operand of operands(scalar)) all.add(operand);
  return [...all];
}

/** The states of blocks: block after block, each part of each state over the kept axes. */
export function partialsOf({ tensors, inOrder }: Context, { kept, accumulations }: Group): Tensor {
  const parts = accumulations.map((accumulation) => totalOf('', accumulation, false).parts.length);
  const axes = inOrder(kept);
  const length = times(
    index(parts.reduce((a, b) => a + b, 0)),
    ...axes.map(tensors.size),
    tensors.chosen('taken'),
  );
  return tensors.scratch('partials', axes, length);
}

/** The places of a block's parts. */
export function placesOf(
  builder: Builder,
  { kept }: Group,
  totals: readonly Total[],
  block: Code,
): (part: number) => Code {
  const { nest, inOrder } = builder;
  const parts = totals.flatMap((total) => total.parts).length;
  const count = elementsOf(builder, kept);
  const first = nest.local('slot', binary('+', times(block, index(parts), count), nest.flat(inOrder(kept))));
  return (part) => binary('+', first, times(index(part), count));
}

function takePartials(
  builder: Builder,
  group: Group,
  totals: readonly Total[],
  partials: Tensor,
  { item, isAcross }: Tile,
): void {
  const isVector = isAcross && builder.vector !== undefined;
  forLoop(builder, [], item, builder.tensors.chosen('taken'), width, (taken) => {
    const at = placesOf(builder, group, totals, taken);
    let part = 0;
    for (const total of totals) {
      const state = total.parts.map(({ type }): Code => {
        const value = load(partials.name, at(part++), isVector ? 'vector' : 'real');
        return isVector && type === 'real' ? { code: 'first', type, x: value } : value;
      });
      mergeInto(builder, total, stateOf(total, state));
    }
  });
}
