/** The totals of lanes merged in workgroup memory, and what follows from them. */
import type { Group } from '../../schedule/stages.ts';
import { storeEpilogue } from '../body.ts';
import { binary, type Code, index, isVector, type Kernel, least, load, name } from '../kernel.ts';
import { resultsOf } from '../monoids.ts';
import { assign, identityOf, mergeInto, type Variables } from './accumulate.ts';
import { type Builder, forLoop, lane, realCount, width } from './build.ts';

/** Reals a lane may have in workgroup memory at a time: those of 64 lanes fit into what every device has. */
const mostShared = 64;
/** How many lanes' totals each of them merges between two barriers. */
const fanIn = 16;

const realsOf = (part: Code): number => (isVector(part) ? 4 : 1);

/** Accumulations whose states fit the workgroup memory together. */
function batchesOf(totals: readonly Variables[]): Variables[][] {
  const batches: Variables[][] = [[]];
  const taken = (list: readonly Variables[]): number =>
    list.flatMap(({ parts }) => parts).reduce((sum, part) => sum + realsOf(part), 0);
  for (const variables of totals) {
    const open = batches[batches.length - 1]!;
    if (open.length > 0 && taken([...open, variables]) > mostShared) batches.push([variables]);
    else open.push(variables);
  }
  return batches;
}

/** Which of the lanes that share a result this is, and how many lanes the next one is further. */
export interface Sharing {
  readonly item: Code;
  readonly apart: Code;
  /** Whether neighbouring elements belong to different results. */
  readonly isAcross: boolean;
}

/**
 * Merges the totals of the lanes that share a result, in workgroup memory and in an order that is the same for all of
 * them, so that each has the result afterwards. Barriers are dear, arithmetic is not: each lane merges sixteen.
 */
export function mergeLanes(
  builder: Builder,
  totals: readonly Variables[],
  sharing: Sharing,
): Kernel['shared'] {
  const { nest, names } = builder;
  const shared: { name: string; type: 'real' | 'vector' }[] = [];
  for (const batch of batchesOf(totals)) {
    const free = [...shared];
    const placed = batch.map((variables) => ({
      variables,
      arrays: variables.parts.map(({ type }) => {
        const known = free.findIndex((array) => array.type === type);
        if (known >= 0) return free.splice(known, 1)[0]!.name;
        const array = { name: names.fresh('merged'), type: type as 'real' | 'vector' };
        shared.push(array);
        return array.name;
      }),
    }));
    const span = names.fresh('span');
    const body = nest.scope([], () => mergeRound(builder, placed, name(span, 'index'), sharing));
    nest.push({ do: 'grow', name: span, below: width, factor: fanIn, body });
  }
  return shared;
}

interface Placed {
  readonly variables: Variables;
  readonly arrays: readonly string[];
}

/** Lanes that are `span` apart are merged, up to sixteen of them. */
function mergeRound(
  builder: Builder,
  placed: readonly Placed[],
  span: Code,
  { item, apart, isAcross }: Sharing,
): void {
  const { nest } = builder;
  for (const { variables, arrays } of placed) {
    for (const [i, array] of arrays.entries())
      nest.push({ do: 'store', array, index: lane, value: variables.parts[i]! });
  }
  nest.push({ do: 'barrier' });
  const around = nest.local('around', least(binary('*', span, index(fanIn)), width));
  const before = binary('-', binary('%', item, around), binary('%', item, span));
  const leader = nest.local('leader', binary('-', lane, binary('*', before, apart)));
  for (const { variables } of placed)
    assign(builder, variables, identityOf(variables.accumulation, isAcross));
  forLoop(builder, [], index(0), around, span, (offset) => {
    const at = nest.local('at', binary('+', leader, binary('*', offset, apart)));
    for (const { variables, arrays } of placed) {
      const other = arrays.map((array, i) => load(array, at, variables.parts[i]!.type as 'real' | 'vector'));
      mergeInto(builder, variables, other);
    }
  });
  nest.push({ do: 'barrier' });
}

/** Results, scratch and outputs that follow from a group's totals, at the current kept index. */
export function epilogue(builder: Builder, group: Group, totals: readonly Variables[]): void {
  const { nest, tensors } = builder;
  for (const { accumulation, parts } of totals) {
    const elements = realCount(builder, group.over);
    for (const { expr, base, value } of resultsOf(accumulation, parts, elements))
      nest.define(expr, base, value);
  }
  storeEpilogue(
    nest,
    tensors,
    group,
    ({ role }) => role !== 'scratch',
    builder.packed.by(group),
    builder.size,
  );
}
