/** The totals of lanes merged in workgroup memory, and what follows from them. */
import type { Group } from '../../schedule/stages.ts';
import { storeEpilogue } from '../body.ts';
import { binary, type Code, index, type Kernel, least, load, name, type SharedArray } from '../kernel.ts';
import { resultsOf } from '../monoids.ts';
import { assign, mergeInto } from './accumulate.ts';
import { type Builder, forLoop, lane, realCount, width } from './build.ts';
import { realsOf, type Total } from './state.ts';

/** Reals a lane may have in workgroup memory at a time: those of 64 lanes fit into what every device has. */
const mostShared = 64;
/** How many lanes' totals each of them merges between two barriers. */
const fanIn = 16;

/** Accumulations whose states fit the workgroup memory together. */
function batchesOf(totals: readonly Total[]): Total[][] {
  const batches: Total[][] = [[]];
  const taken = (list: readonly Total[]): number => list.reduce((sum, total) => sum + realsOf(total), 0);
  for (const total of totals) {
    const open = batches[batches.length - 1]!;
    if (open.length > 0 && taken([...open, total]) > mostShared) batches.push([total]);
    else open.push(total);
  }
  return batches;
}

/** Which of the lanes that share a result this is, and how many lanes the next one is further. */
export interface Sharing {
  readonly item: Code;
  readonly apart: Code;
}

/**
 * Merges the totals of the lanes that share a result, in workgroup memory and in an order that is the same for all of
 * them, so that each has the result afterwards. Barriers are dear, arithmetic is not: each lane merges sixteen.
 */
export function mergeLanes(builder: Builder, totals: readonly Total[], sharing: Sharing): Kernel['shared'] {
  const { nest, names } = builder;
  const shared: SharedArray[] = [];
  for (const batch of batchesOf(totals)) {
    const free = [...shared];
    const placed = batch.map((total): Placed => {
      const type = total.record ?? (total.value.type as 'real' | 'vector');
      const known = free.findIndex((array) => nameOfType(array.type) === nameOfType(type));
      if (known >= 0) return { total, array: free.splice(known, 1)[0]!.name };
      const array = { name: names.fresh('merged'), type, reals: realsOf(total) };
      shared.push(array);
      return { total, array: array.name };
    });
    const span = names.fresh('span');
    const body = nest.scope([], () => mergeRound(builder, placed, name(span, 'index'), sharing));
    nest.push({ do: 'grow', name: span, below: width, factor: fanIn, body });
  }
  return shared;
}

const nameOfType = (type: SharedArray['type']): string => (typeof type === 'string' ? type : type.name);

interface Placed {
  readonly total: Total;
  readonly array: string;
}

/** Lanes that are `span` apart are merged, up to sixteen of them. */
function mergeRound(builder: Builder, placed: readonly Placed[], span: Code, { item, apart }: Sharing): void {
  const { nest } = builder;
  for (const { total, array } of placed) nest.push({ do: 'store', array, index: lane, value: total.value });
  nest.push({ do: 'barrier' });
  const around = nest.local('around', least(binary('*', span, index(fanIn)), width));
  const before = binary('-', binary('%', item, around), binary('%', item, span));
  const leader = nest.local('leader', binary('-', lane, binary('*', before, apart)));
  for (const { total } of placed) assign(builder, total, total.identity);
  forLoop(builder, [], index(0), around, span, (offset) => {
    const at = binary('+', leader, binary('*', offset, apart));
    const other = placed.length > 1 ? nest.local('at', at) : at;
    for (const { total, array } of placed)
      mergeInto(builder, total, load(array, other, total.value.type as 'real' | 'vector' | 'record'));
  });
  nest.push({ do: 'barrier' });
}

/** Results of reductions by the totals, at the current kept index. */
export function defineResults(builder: Builder, group: Group, totals: readonly Total[]): void {
  const { nest } = builder;
  for (const { accumulation, parts } of totals) {
    const elements = realCount(builder, group.over);
    for (const { expr, base, value } of resultsOf(accumulation, parts, elements))
      nest.define(expr, base, value);
  }
}

/** Stores what follows from a group's results, at the current kept index. */
export function epilogue({ nest, tensors, packed, size }: Builder, group: Group): void {
  storeEpilogue(nest, tensors, group, ({ role }) => role !== 'scratch', packed.by(group), size);
}
