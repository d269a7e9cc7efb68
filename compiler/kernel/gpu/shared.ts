/** Kernels for two groups of reductions over different axes that share one read of the data. */
import { type Axes, difference, intersection } from '../../graph/axes.ts';
import type { Group, ReduceStage } from '../../schedule/stages.ts';
import { storeOutputs } from '../body.ts';
import { below, binary, type Code, ceilDiv, index, type Kernel, load, real, times } from '../kernel.ts';
import { monoids } from '../monoids.ts';
import { accumulate, assign, openTotals, openVariables, valuesOf } from './accumulate.ts';
import {
  type Builder,
  elementsOf,
  finishKernel,
  forLoop,
  group,
  guarded,
  lane,
  lanes,
  type Tensor,
  unflatten,
} from './build.ts';
import { epilogue, isFirst, mergeLanes } from './merge.ts';

/** Rows that one workgroup takes when row and column reductions share a read. */
const blockRows = 16;

/**
 * Two groups in one read: a workgroup takes a block of rows and strides over the columns. Sums over columns (`rows`)
 * finish here; sums over rows (`columns`) leave one partial a block, which a second, small kernel merges.
 */
export function sharedKernels(
  stage: ReduceStage,
  rows: Group,
  columns: Group,
  open: () => Builder,
): Kernel[] {
  const builder = open();
  const { nest, names, tensors, inOrder } = builder;
  const both = intersection(rows.kept, columns.kept);
  const rowAxes = inOrder(difference(rows.kept, both));
  const columnAxes = inOrder(difference(columns.kept, both));
  const rowCount = times(...rowAxes.map(tensors.size));
  const columnCount = times(...columnAxes.map(tensors.size));
  const outer = times(...inOrder(both).map(tensors.size));
  const blocks = ceilDiv(rowCount, index(blockRows));
  const workgroups = binary('*', outer, blocks);
  nest.push({
    do: 'return_if',
    test: { code: 'compare', type: 'bool', operator: '>=', a: group, b: workgroups },
  });

  const partialLength = times(blocks, outer, columnCount);
  const partialsLength = times(index(columns.accumulations.length), partialLength);
  const partials = tensors.scratch('partials', columns.kept, partialsLength);
  const rowArrays = rows.accumulations.map(() => names.fresh('rows'));
  let shared: Kernel['shared'] = [];
  const statements = nest.scope([...both], () => {
    unflatten(builder, nest.local('outer', binary('%', group, outer)), inOrder(both));
    const block = nest.local('block', binary('/', group, outer));
    const start = nest.local('start', binary('*', block, index(blockRows)));
    const blockEnd = binary('+', start, index(blockRows));
    const end = nest.local('end', { code: 'least', type: 'index', a: blockEnd, b: rowCount });
    for (const [k, { monoid }] of rows.accumulations.entries()) {
      nest.push({
        do: 'array',
        name: rowArrays[k]!,
        length: index(blockRows),
        fill: monoids[monoid].running[0]!,
      });
    }
    forLoop(builder, columnAxes, lane, columnCount, lanes, (column) => {
      unflatten(builder, column, columnAxes);
      const totals = openTotals(builder, columns);
      const unshifted = totals.map(() => real(0));
      forLoop(builder, rowAxes, start, end, index(1), (row) => {
        unflatten(builder, row, rowAxes);
        accumulate(builder, totals, unshifted);
        const at = nest.local('slot', binary('-', row, start));
        for (const [k, { monoid, x }] of rows.accumulations.entries()) {
          const [value] = monoids[monoid].step([load(rowArrays[k]!, at)], nest.value(x), real(0), nest.local);
          nest.push({ do: 'store', array: rowArrays[k]!, index: at, value: value! });
        }
        storeOutputs(nest, tensors, stage.riders);
      });
      const at = nest.local('at', binary('+', binary('*', group, columnCount), column));
      for (const [k, total] of totals.entries()) {
        const slot = binary('+', times(index(k), partialLength), at);
        nest.push({ do: 'store', array: partials.name, index: slot, value: valuesOf(total)[0]! });
      }
    });
    forLoop(builder, rowAxes, start, end, index(1), (row) => {
      unflatten(builder, row, rowAxes);
      const at = nest.local('slot', binary('-', row, start));
      const totals = rows.accumulations.map((accumulation, k) =>
        openVariables(builder, 'total', accumulation, [load(rowArrays[k]!, at)]),
      );
      shared = mergeLanes(builder, totals, { width: lanes, item: lane, apart: index(1) });
      guarded(builder, isFirst(lane), [], () => epilogue(builder, rows, totals));
      nest.push({ do: 'barrier' });
    });
  });
  nest.push(...statements);
  const groups = [rows, { ...columns, epilogue: [] }];
  const kernel = finishKernel(builder, { ...stage, groups }, workgroups, both, shared, [partials]);
  return [kernel, mergeKernel(columns, partials, blocks, open(), both)];
}

/** Merges the partial results of blocks and finishes: one invocation a kept index. */
export function mergeKernel(
  columns: Group,
  partials: Tensor,
  blocks: Code,
  builder: Builder,
  both: Axes,
): Kernel {
  const { nest, inOrder } = builder;
  const own = inOrder(difference(columns.kept, both));
  const count = elementsOf(builder, columns.kept);
  const at = nest.local('at', binary('+', binary('*', group, lanes), lane));
  guarded(builder, below(at, count), [...columns.kept], () => {
    unflatten(builder, at, [...inOrder(both), ...own]);
    const totals = openTotals(builder, columns);
    forLoop(builder, [], index(0), blocks, index(1), (block) => {
      const from = nest.local('from', binary('+', binary('*', block, count), at));
      for (const [k, total] of totals.entries()) {
        const partial = load(partials.name, binary('+', times(index(k), blocks, count), from));
        const { merge } = monoids[total.accumulation.monoid];
        assign(builder, total, merge(valuesOf(total), [partial], nest.local));
      }
    });
    epilogue(builder, columns, totals);
  });
  const groups = [{ ...columns, accumulations: [] }];
  const stage: ReduceStage = { kind: 'reduce', space: columns.kept, groups, riders: [] };
  return finishKernel(builder, stage, ceilDiv(count, lanes), columns.kept, [], [partials]);
}
