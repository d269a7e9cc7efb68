/** The totals of lanes merged in workgroup memory, and what follows from them. */
import type { Group } from '../../schedule/stages.ts';
import { storeEpilogue } from '../body.ts';
import { binary, type Code, index, least, load, name, type SharedArray } from '../kernel.ts';
import { resultsOf } from '../monoids.ts';
import { assign, mergeInto } from './accumulate.ts';
import { type Builder, forLoop, realCount, width } from './build.ts';
import { realsOf, type Total, type Totals, totalsOf } from './state.ts';

/** How many lanes' totals each of them merges between two barriers. */
const fanIn = 16;

/** Which of the lanes that share a result this is, and how many lanes the next one is further. */
export interface Sharing {
  readonly item: Code;
  /** Which of the results. */
  readonly number: Code;
  readonly apart: Code;
  /** Whether neighbouring elements belong to different results. */
  readonly isAcross: boolean;
}

/**
 * Merges the totals of the lanes that share a result, in workgroup memory and in an order that is the same for all of
 * them, so that each has the result afterwards. Barriers are dear, arithmetic is not: each lane merges sixteen.
 */
export function mergeLanes(builder: Builder, group: Group, totals: Totals, sharing: Sharing): SharedArray {
  const { nest, names } = builder;
  const array = { name: names.fresh('merged'), type: totals.type, reals: realsOf(totals.type) };
  const { item, number, apart, isAcross } = sharing;
  const [outer, inner] = isAcross ? [item, number] : [number, item];
  const lane = nest.local('lane', binary('+', binary('*', outer, isAcross ? apart : width), inner));
  const span = names.fresh('span');
  const body = nest.scope([], () =>
    mergeRound(builder, group, totals, array, lane, name(span, 'index'), sharing),
  );
  nest.push({ do: 'grow', name: span, below: width, factor: fanIn, body });
  return array;
}

/** Lanes that are `span` apart are merged, up to sixteen of them. */
function mergeRound(
  builder: Builder,
  { accumulations }: Group,
  totals: Totals,
  array: SharedArray,
  lane: Code,
  span: Code,
  { item, apart, isAcross }: Sharing,
): void {
  const { nest, vector } = builder;
  nest.push({ do: 'store', array: array.name, index: lane, value: totals.value });
  nest.push({ do: 'barrier' });
  const around = nest.local('around', least(binary('*', span, index(fanIn)), width));
  const before = binary('-', binary('%', item, around), binary('%', item, span));
  const leader = nest.local('leader', binary('-', lane, binary('*', before, apart)));
  assign(builder, totals, totals.identity);
  forLoop(builder, [], index(0), around, span, (offset) => {
    const at = binary('+', leader, binary('*', offset, apart));
    const type = typeof array.type === 'object' ? 'record' : array.type;
    const other = load(array.name, at, type);
    const [first, ...more] = totals.each;
    if (more.length === 0) return mergeInto(builder, first!, other);
    const { name: id } = nest.local('other', other) as Extract<Code, { code: 'name' }>;
    const { each } = totalsOf(id, accumulations, isAcross && vector !== undefined);
    for (const [i, total] of totals.each.entries()) mergeInto(builder, total, each[i]!.value);
  });
  nest.push({ do: 'barrier' });
}

/** Results of reductions by the totals, at the current kept index. */
export function defineResults(builder: Builder, group: Group, totals: readonly Total[]): void {
  const { nest } = builder;
  for (const { accumulation, parts } of totals) {
    const elements = realCount(builder, group.over);
    for (const { expr, base, value } of resultsOf(accumulation, parts, elements, true))
      nest.define(expr, base, value);
  }
}

/** Stores what follows from a group's results, at the current kept index. */
export function epilogue({ nest, tensors, packed, size }: Builder, group: Group): void {
  storeEpilogue(nest, tensors, group, {
    isStored: ({ role }) => role !== 'scratch',
    packing: packed.by(group),
    size,
    isLossless: true,
  });
}
