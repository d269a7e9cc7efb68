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
import { createScalars } from '../scalar.ts';
import { expressionsOf, inputsOf } from '../tensors.ts';
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
import { mergeLanes } from './merge.ts';
import { stateOf, type Total, totalOf } from './state.ts';
import { openTile, rangeOf, type Tile } from './tile.ts';

/** Of the lane in the dispatch. */
const places = ['group', 'own', 'lane'];

export interface Reduction {
  readonly function: ReduceFunction;
  readonly shared: readonly SharedArray[];
  readonly records: readonly RecordType[];
  /** The totals that it returns, where that is in a local of this name. */
  readonly totalsIn: (id: string) => Total[];
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
  const inputs = inputsOf(expressionsOf(stage));
  const isFirst = inputs.every(({ role }) => role !== 'scratch');
  const own = isFirst ? { ...context, scalars: createScalars() } : context;
  const builder = openKernel(own, stages, stage.space);
  const { nest, names, tensors, vector } = builder;
  const [group] = stage.groups as [Group];
  const result = names.fresh('result');
  let shared: readonly SharedArray[] = [];
  let totals: Total[] = [];
  let isSpread = false;
  const statements = nest.scope(
    [...group.kept],
    () => {
      const tile = openTile(builder, [stage], stage.space, group.kept, group.over, name(result, 'index'));
      const [start, end] = rangeOf(builder, tile);
      isSpread = tile.isAcross && vector !== undefined;
      totals = openTotals(builder, group, isSpread);
      const accumulate = () =>
        accumulateChunks(builder, totals, tile.elements, start, end, isSpread, () => {
          storeOutputs(nest, tensors, stage.riders);
        });
      // all lanes have to reach the barriers; where there is no such kept index, reads alone do no harm
      if (stage.riders.length === 0) accumulate();
      else guarded(builder, { code: 'not', type: 'bool', x: tile.isOutside }, [], accumulate);
      if (partials) takePartials(builder, group, totals, partials, tile);
      shared = mergeLanes(builder, totals, tile);
    },
    { lanes: vector },
  );
  nest.push(...statements);
  const [first] = totals;
  const isAlone = totals.length === 1;
  const members = totals.map(({ value, record }) => ({
    name: nameOf(value),
    type: record ?? realTypeOf(value),
  }));
  const all: RecordType = { name: 'Totals', members };
  const records = [...totals.flatMap(({ record }) => record ?? []), ...(isAlone ? [] : [all])];
  const values = totals.map(({ value }) => value);
  const body = prune(nest.finish());
  const used = namesIn(body);
  return {
    function: {
      name: 'reduced',
      parameters: [result, ...places.filter((place) => used.has(place))],
      body,
      result: isAlone ? first!.value : { code: 'make', type: 'record', name: all.name, args: values },
      returns: isAlone ? members[0]!.type : all,
    },
    shared,
    records: [...new Map(records.map((record) => [record.name, record])).values()],
    totalsIn: (id) =>
      totals.map(({ accumulation, value }) =>
        totalOf(isAlone ? id : `${id}.${nameOf(value)}`, accumulation, isSpread),
      ),
  };
}

const nameOf = (value: Code): string => (value as Extract<Code, { code: 'name' }>).name;
const realTypeOf = ({ type }: Code): 'real' | 'vector' => (type === 'vector' ? type : 'real');

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
