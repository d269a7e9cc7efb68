/** The totals of lanes merged in workgroup memory, and what follows from them. */
import type { Group } from '../../schedule/stages.ts';
import { storeEpilogue } from '../body.ts';
import { below, binary, type Code, index, type Kernel, load, name } from '../kernel.ts';
import { monoids, resultsOf } from '../monoids.ts';
import { type Variables, valuesOf } from './accumulate.ts';
import { type Builder, lane, mostLanes, realCount } from './build.ts';

/** Accumulators that are merged through workgroup memory at a time. */
const mergeBatch = 12;

/** Accumulations whose states fit the workgroup memory together. */
export function batchesOf(totals: readonly Variables[]): Variables[][] {
  const batches: Variables[][] = [[]];
  for (const variables of totals) {
    const open = batches[batches.length - 1]!;
    const taken = open.reduce((sum, { names }) => sum + names.length, 0);
    if (open.length > 0 && taken + variables.names.length > mergeBatch) batches.push([variables]);
    else open.push(variables);
  }
  return batches;
}

/** Which lanes share a result: `width` of them, of which this is number `item`, the next one `apart` lanes further. */
export interface Sharing {
  readonly width: Code;
  readonly item: Code;
  readonly apart: Code;
}

/** Merges the totals of the lanes that share a result, by halving, in workgroup memory; item 0 has them afterwards. */
export function mergeLanes(
  { nest, names }: Builder,
  totals: readonly Variables[],
  { width, item, apart }: Sharing,
): Kernel['shared'] {
  const batches = batchesOf(totals);
  const most = Math.max(...batches.map((batch) => batch.flatMap((variables) => variables.names).length));
  const shared = Array.from({ length: most }, () => ({ name: names.fresh('merged'), length: mostLanes }));
  for (const [b, batch] of batches.entries()) {
    if (b > 0) nest.push({ do: 'barrier' });
    let next = 0;
    const placed = batch.map((variables) => ({
      variables,
      arrays: variables.names.map(() => shared[next++]!.name),
    }));
    for (const { variables, arrays } of placed) {
      for (const [i, array] of arrays.entries()) {
        nest.push({ do: 'store', array, index: lane, value: name(variables.names[i]!, 'real') });
      }
    }
    nest.push({ do: 'barrier' });
    const half = names.fresh('half');
    const merges = nest.scope([], () => {
      const other = nest.local('other', binary('+', lane, binary('*', name(half, 'index'), apart)));
      for (const { variables, arrays } of placed) {
        const merged = monoids[variables.accumulation.monoid].merge(
          arrays.map((array) => nest.local('a', load(array, lane))),
          arrays.map((array) => nest.local('b', load(array, other))),
          nest.local,
        );
        for (const [i, array] of arrays.entries()) {
          nest.push({ do: 'store', array, index: lane, value: merged[i]! });
        }
      }
    });
    nest.push({
      do: 'halve',
      name: half,
      from: binary('/', width, index(2)),
      body: [{ do: 'if', test: below(item, name(half, 'index')), body: merges }, { do: 'barrier' }],
    });
    for (const { variables, arrays } of placed) {
      for (const [i, array] of arrays.entries()) {
        nest.push({ do: 'assign', name: variables.names[i]!, value: load(array, lane) });
      }
    }
  }
  return shared;
}

/** Results, scratch and outputs that follow from a group's totals, at the current kept index. */
export function epilogue(builder: Builder, group: Group, totals: readonly Variables[]): void {
  const { nest, tensors } = builder;
  for (const variables of totals) {
    const elements = realCount(builder, group.over);
    for (const { expr, base, value } of resultsOf(variables.accumulation, valuesOf(variables), elements)) {
      nest.define(expr, base, value);
    }
  }
  storeEpilogue(nest, tensors, group, ({ role }) => role !== 'scratch', builder.packed.by(group));
}

export const isFirst = (item: Code): Code => ({
  code: 'compare',
  type: 'bool',
  operator: '==',
  a: item,
  b: index(0),
});
