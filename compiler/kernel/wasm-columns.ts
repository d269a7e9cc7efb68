/**
 * Reductions whose lanes run along the kept indices: a part has a tile of columns and a block of rows. A chunk of rows
 * is summed into accumulators in scratch, which stay in cache; from there they are merged in f64.
 */
import type { Accumulation } from '../schedule/stages.ts';
import { storeOutputs } from './body.ts';
import { asVector, below, binary, type Code, index, least, load, name, real, times } from './kernel.ts';
import { monoids } from './monoids.ts';
import {
  columnParts,
  isShifted,
  mergeChunk,
  openRunning,
  partialAt,
  type Reduction,
  type Running,
  realOf,
  reals,
  rowChunk,
  runningSlots,
  runningWidth,
  type Slots,
  stateSlots,
  step,
  tile,
} from './wasm-reduction.ts';
import {
  assignIf,
  type Builder,
  forLoop,
  laneLoop,
  openVariable,
  roundUp,
  sizeOf,
  unflatten,
} from './wasm-routine.ts';

/**
 * Rows that are walked along at a time, so that accumulators are loaded and stored less often: neighbours where they are
 * short, otherwise a row of each part of a chunk, since memory is read ahead where one row follows the other.
 */
const rowsAbreast = 4;
const shortRow = 128;
/** Vectors side by side in each of these rows; with more, registers run out. */
const copies = 2;

/** A tile of columns in one part. */
interface Tile {
  readonly part: Code;
  readonly block: Code;
  /** The kept index of column 0. */
  readonly base: Code;
  readonly columns: readonly [Code, Code];
  readonly isShort: Code;
}

export function reduceColumns(builder: Builder, reduction: Reduction): void {
  const { nest, begin, end } = builder;
  const { kept, lanes, blocks } = reduction;
  const outer = kept.slice(0, -1);
  const { tiles, units } = columnParts(builder, reduction, nest.local);
  const isShort = below(sizeOf(builder, [lanes]), index(shortRow));
  const onPart = (part: Code): void => {
    const block = nest.local('block', binary('%', part, blocks));
    const at = nest.local('at', binary('/', part, blocks));
    const width = sizeOf(builder, [lanes]);
    const left = nest.local('left', binary('*', binary('%', at, tiles), index(tile)));
    const right = nest.local('right', least(binary('+', left, index(tile)), width));
    const row = nest.local('outer', binary('/', at, tiles));
    unflatten(builder, row, outer);
    const base = nest.local('base', binary('*', row, width));
    const mine: Tile = { part, block, base, columns: [left, right], isShort };
    clear(builder, reduction, mine);
    const share = (k: Code): Code => binary('/', binary('*', units, k), blocks);
    const from = nest.local('from', share(block));
    const to = nest.local('to', share(binary('+', block, index(1))));
    const start = nest.local('start', binary('*', from, index(rowChunk)));
    forLoop(builder, [], from, to, (unit) => takeIn(builder, reduction, mine, unit, start), 'unit');
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

/** Takes in a chunk of rows, the first of which are those of `start`. */
function takeIn(builder: Builder, reduction: Reduction, mine: Tile, unit: Code, start: Code): void {
  const { nest } = builder;
  const { over, columns } = reduction;
  const from = nest.local('from', binary('*', unit, index(rowChunk)));
  const to = nest.local('to', least(binary('+', from, index(rowChunk)), sizeOf(builder, over)));
  const chunk: Chunk = {
    rows: [from, to],
    before: nest.local('before', realOf(binary('-', from, start))),
    elements: nest.local('elements', realOf(binary('-', to, from))),
  };
  if (columns) takeInVectors(builder, { ...reduction, columns }, mine, chunk);
  else takeInElements(builder, reduction, mine, chunk);
}

interface Chunk {
  readonly rows: readonly [Code, Code];
  /** How many rows its part has taken in before, and how many these are. */
  readonly before: Code;
  readonly elements: Code;
}

function takeInElements(builder: Builder, reduction: Reduction, mine: Tile, chunk: Chunk): void {
  const { group, over, lanes } = reduction;
  laneLoop(builder, lanes, mine.columns, 1, (column) => {
    const firsts = firstsOf(builder, reduction, chunk);
    const running = openRunning(builder, group, 1, firsts);
    forLoop(builder, over.flat(), ...chunk.rows, (row) => onRow(builder, reduction, row, running), 'row');
    for (const [k, { names }] of running.entries())
      merge(builder, reduction, mine, column, k, reals(names), firsts[k]!, chunk);
  });
}

/**
 * Accumulators wait in scratch while a few rows at a time are walked along: reading memory in order is worth more than
 * keeping them in registers.
 */
function takeInVectors(
  builder: Builder,
  reduction: Reduction & Required<Pick<Reduction, 'columns'>>,
  mine: Tile,
  chunk: Chunk,
): void {
  const { nest } = builder;
  const { group, over, lanes, columns } = reduction;
  const [from, to] = chunk.rows;
  const slots = runningSlots(group);
  /** Where each value waits for column 0. */
  const waiting = Array.from({ length: runningWidth(group) }, (_, slot) => {
    const place = binary('+', times(mine.part, index(runningWidth(group))), index(slot));
    return nest.local('slot', binary('-', times(place, index(tile)), mine.columns[0]));
  });
  const at = (slot: number, column: Code): Code => binary('+', waiting[slot]!, column);
  const store = (slot: number, column: Code, value: Code): void =>
    nest.push({ do: 'store', array: columns.name, index: at(slot, column), value });
  const waits = (slot: number, column: Code): Code => load(columns.name, at(slot, column), 'vector');

  laneLoop(builder, lanes, mine.columns, 1, (column) => {
    const firsts = firstsOf(builder, reduction, chunk);
    for (const [k, { accumulation, first }] of slots.entries()) {
      const { running } = monoids[accumulation.monoid];
      for (const [i, identity] of running.entries()) store(first + i, column, asVector(real(identity)));
      if (isShifted(accumulation)) store(first + running.length, column, firsts[k]!);
    }
  });
  const turns = nest.local('turns', roundUp(binary('-', to, from), index(rowsAbreast)));
  const apart = openVariable(builder, 'apart', turns);
  const next = openVariable(builder, 'next', index(1));
  assignIf(builder, mine.isShort, [
    [apart, index(1)],
    [next, index(rowsAbreast)],
  ]);
  const onTurn = (turn: Code): void => {
    const row = nest.local('row', binary('+', from, binary('*', turn, next)));
    const last = nest.local('last_row', least(binary('+', row, binary('*', apart, index(rowsAbreast))), to));
    laneLoop(builder, lanes, mine.columns, copies, (column) => {
      const running = slots.map(({ accumulation, first }): Running => {
        const parts = monoids[accumulation.monoid].running.length;
        const names = Array.from({ length: parts }, (_, i) => {
          const id = builder.names.fresh('sum');
          nest.push({ do: 'var', name: id, value: waits(first + i, column) });
          return id;
        });
        return {
          accumulation,
          names,
          first: isShifted(accumulation) ? nest.local('first', waits(first + parts, column)) : real(0),
        };
      });
      const onEach = (k: Code): void => onRow(builder, reduction, k, running);
      forLoop(builder, over.flat(), row, last, onEach, 'row', { step: apart });
      for (const [k, { names }] of running.entries())
        for (const [i, id] of names.entries()) store(slots[k]!.first + i, column, name(id, 'vector'));
    });
  };
  forLoop(builder, [], index(0), turns, onTurn, 'turn');
  forLoop(builder, [], ...mine.columns, (column) => {
    for (const [k, { accumulation, first }] of slots.entries()) {
      const read = (i: number): Code => nest.local('part', load(columns.name, at(first + i, column)));
      const { running } = monoids[accumulation.monoid];
      const parts = running.map((_, i) => read(i));
      const base = isShifted(accumulation) ? read(running.length) : real(0);
      merge(builder, reduction, mine, column, k, parts, base, chunk);
    }
  });
}

function onRow(builder: Builder, { over, stage }: Reduction, row: Code, running: readonly Running[]): void {
  unflatten(builder, row, over);
  step(builder, running);
  storeOutputs(builder.nest, builder.tensors, stage.riders);
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
  { before, elements }: Chunk,
): void {
  const { nest } = builder;
  const { partials, group } = reduction;
  const { accumulation, first: slot }: Slots = stateSlots(group)[k]!;
  const { identity, counts } = monoids[accumulation.monoid];
  const places = identity.map((_, i) =>
    nest.local('place', partialAt(builder, reduction, slot + i, block, binary('+', base, column))),
  );
  // the count is the same for all columns, so that what divides by it is computed once
  const totals = places.map((place, i) =>
    counts?.includes(i) ? before : nest.local('total', load(partials.name, place)),
  );
  const after = mergeChunk(builder, accumulation, parts, elements, first, totals);
  for (const [i, place] of places.entries())
    nest.push({ do: 'store', array: partials.name, index: place, value: after[i]! });
}

/** The operands at the first row of a chunk, in each lane's column, where elements are taken in relative to it. */
function firstsOf(builder: Builder, { group, over }: Reduction, { rows }: Chunk): Code[] {
  const { nest } = builder;
  const firstOf = ({ x }: Accumulation): Code => {
    let first: Code = real(0);
    const statements = nest.scope(over.flat(), () => {
      unflatten(builder, rows[0], over);
      first = nest.local('first', nest.value(x));
    });
    nest.push(...statements);
    return first;
  };
  return group.accumulations.map((accumulation) =>
    isShifted(accumulation) ? firstOf(accumulation) : real(0),
  );
}
