/** Merges the blocks of each kept index, and computes what follows from the results. */

import { type AxisGroup, elementsOf } from './axis-groups.ts';
import { storeEpilogue } from './body.ts';
import { type Code, index, load } from './kernel.ts';
import { monoids, resultsOf } from './monoids.ts';
import {
  assignAll,
  keptAxes,
  openTotals,
  partialAt,
  type Reduction,
  realOf,
  reals,
  stateSlots,
} from './wasm-reduction.ts';
import { type Builder, forLoop, unflatten } from './wasm-routine.ts';

export function finishGroup(builder: Builder, reduction: Reduction): void {
  const { nest, tensors, packed, begin, end } = builder;
  const { group, partials, blocks } = reduction;
  const kept = keptAxes(builder, reduction).map((axis): AxisGroup => [axis]);
  const onKept = (at: Code): void => {
    unflatten(builder, at, kept);
    const slots = stateSlots(group);
    const stateAt = (first: number, i: number, block: Code): Code =>
      load(partials.name, partialAt(builder, reduction, first + i, block, at));
    const totals = openTotals(builder, group, (k, i) => stateAt(slots[k]!.first, i, index(0)));
    const onBlock = (block: Code): void => {
      for (const [k, { accumulation, first }] of slots.entries()) {
        const taken = totals[k]!.map((_, i) => nest.local('taken', stateAt(first, i, block)));
        const merged = monoids[accumulation.monoid].merge(reals(totals[k]!), taken, nest.local);
        const settled = merged.length > 1 ? merged.map((value) => nest.local('next', value)) : merged;
        assignAll(builder, totals[k]!, settled);
      }
    };
    forLoop(builder, [], index(1), blocks, onBlock, 'block');
    const elements = realOf(elementsOf(builder, group.over));
    for (const [k, { accumulation }] of slots.entries()) {
      for (const { expr, base, value } of resultsOf(accumulation, reals(totals[k]!), elements, true))
        nest.define(expr, base, value);
    }
    storeEpilogue(nest, tensors, group, {
      isStored: ({ role }) => role !== 'scratch',
      packing: packed.by(group),
    });
  };
  // where nothing is kept, what follows from the totals has no axes, and still is known in here alone
  const options = { pinned: kept.length === 0 };
  forLoop(builder, kept.flat(), begin, end, onKept, 'at', options);
}
