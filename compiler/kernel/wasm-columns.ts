/**
 * Reductions whose lanes run along the kept indices: a part has a tile of columns and a block of rows. A chunk of rows
 * is summed for a few columns at a time, in registers; the sums go through scratch, from where they are merged in f64.
 */
import type { Accumulation } from '../schedule/stages.ts';
import { storeOutputs } from './body.ts';
import { binary, type Code, index, least, load, name, real, times } from './kernel.ts';
import { monoids } from './monoids.ts';
import {
  columnParts,
  copiesFor,
  isShifted,
  mergeChunk,
  openRunning,
  partialAt,
  type Reduction,
  realOf,
  rowChunk,
  runningSlots,
  runningWidth,
  type Slots,
  stateSlots,
  step,
  tile,
} from './wasm-reduction.ts';
import { type AxisGroup, type Builder, forLoop, laneLoop, sizeOf, unflatten } from './wasm-routine.ts';

/** A tile of columns in one part. */
interface Tile {
  readonly part: Code;
  readonly block: Code;
  /** The kept index of column 0. */
  readonly base: Code;
  readonly columns: readonly [Code, Code];
}

export function reduceColumns(builder: Builder, reduction: Reduction): void {
  const { nest, begin, end } = builder;
  const { kept, lanes, blocks } = reduction;
  const outer = kept.slice(0, -1);
  const { tiles, units } = columnParts(builder, reduction, nest.local);
  const onPart = (part: Code): void => {
    const block = nest.local('block', binary('%', part, blocks));
    const at = nest.local('at', binary('/', part, blocks));
    const width = sizeOf(builder, [lanes]);
    const left = nest.local('left', binary('*', binary('%', at, tiles), index(tile)));
    const right = nest.local('right', least(binary('+', left, index(tile)), width));
    const row = nest.local('outer', binary('/', at, tiles));
    unflatten(builder, row, outer);
    const base = nest.local('base', binary('*', row, width));
    const mine: Tile = { part, block, base, columns: [left, right] };
    clear(builder, reduction, mine);
    const share = (k: Code): Code => binary('/', binary('*', units, k), blocks);
    const from = nest.local('from', share(block));
    const to = nest.local('to', share(binary('+', block, index(1))));
    forLoop(builder, [], from, to, (unit) => takeIn(builder, reduction, mine, unit), 'unit');
  };
  forLoop(builder, outer.flat(), begin, end, onPart, 'part');
}

function clear(builder: Builder, reduction: Reduction, { block, base, columns }: Tile): void {
  const identities = reduction.group.accumulations.flatMap(({ monoid }) => monoids[monoid].identity);
  forLoop(builder, [], ...columns, (column) => {
    for (const [slot, identity] of identities.entries()) {
      const at = partialAt(builder, reduction, slot, block, binary('+', base, column));
      builder.nest.push({ do: 'store', array: reduction.partials.name, index: at, value: real(identity) });
    }
  });
}

/** Takes in a chunk of rows. */
function takeIn(builder: Builder, reduction: Reduction, mine: Tile, unit: Code): void {
  const { nest, tensors } = builder;
  const { group, over, lanes, stage, columns } = reduction;
  const copies = copiesFor(group);
  const from = nest.local('from', binary('*', unit, index(rowChunk)));
  const to = nest.local('to', least(binary('+', from, index(rowChunk)), sizeOf(builder, over)));
  const elements = realOf(binary('-', to, from));
  const slots = runningSlots(group);
  /** Where each value of a chunk waits for column 0. */
  const waiting = Array.from({ length: columns ? runningWidth(group) : 0 }, (_, slot) => {
    const place = binary('+', times(mine.part, index(runningWidth(group))), index(slot));
    return nest.local('slot', binary('-', times(place, index(tile)), mine.columns[0]));
  });
  laneLoop(builder, lanes, mine.columns, copies, (column) => {
    const firsts = group.accumulations.map((accumulation) =>
      isShifted(accumulation) ? firstOf(builder, accumulation, over, from) : real(0),
    );
    const running = openRunning(builder, group, copies, firsts);
    const onRow = (row: Code): void => {
      unflatten(builder, row, over);
      step(builder, running);
      storeOutputs(nest, tensors, stage.riders);
    };
    forLoop(builder, over.flat(), from, to, onRow, 'row');
    for (const [k, { names, first, accumulation }] of running.entries()) {
      const values = names.map((id) => name(id, columns ? 'vector' : 'real'));
      if (!columns) {
        merge(builder, reduction, mine, column, k, values, first, elements);
        continue;
      }
      const all = isShifted(accumulation) ? [...values, first] : values;
      for (const [i, value] of all.entries()) {
        const at = binary('+', waiting[slots[k]!.first + i]!, column);
        nest.push({ do: 'store', array: columns.name, index: at, value });
      }
    }
  });
  if (!columns) return;
  forLoop(builder, [], ...mine.columns, (column) => {
    for (const [k, slot] of slots.entries()) {
      const read = (i: number): Code =>
        nest.local('part', load(columns.name, binary('+', waiting[slot.first + i]!, column)));
      const { running, isShifted: shifted } = monoids[slot.accumulation.monoid];
      const first = shifted ? read(running.length) : real(0);
      merge(
        builder,
        reduction,
        mine,
        column,
        k,
        running.map((_, i) => read(i)),
        first,
        elements,
      );
    }
  });
}

/** Merges one column's chunk into its state. */
function merge(
  builder: Builder,
  reduction: Reduction,
  { block, base }: Tile,
  column: Code,
  k: number,
  parts: readonly Code[],
  first: Code,
  elements: Code,
): void {
  const { nest } = builder;
  const { partials, group } = reduction;
  const { accumulation, first: slot }: Slots = stateSlots(group)[k]!;
  const places = monoids[accumulation.monoid].identity.map((_, i) =>
    nest.local('place', partialAt(builder, reduction, slot + i, block, binary('+', base, column))),
  );
  const before = places.map((place) => nest.local('total', load(partials.name, place)));
  const after = mergeChunk(builder, accumulation, parts, elements, first, before);
  for (const [i, place] of places.entries())
    nest.push({ do: 'store', array: partials.name, index: place, value: after[i]! });
}

/** The operand at the first row of a chunk, in each lane's column. */
function firstOf(builder: Builder, { x }: Accumulation, over: readonly AxisGroup[], row: Code): Code {
  const { nest } = builder;
  let first: Code = real(0);
  const statements = nest.scope(over.flat(), () => {
    unflatten(builder, row, over);
    first = nest.local('first', nest.value(x));
  });
  nest.push(...statements);
  return first;
}
