/**
 * Reductions whose lanes run along the kept indices: a part has a tile of columns and a block of rows. A chunk of rows
 * is summed into accumulators in scratch, which stay in cache; from there they are merged in f64.
 */
import type { Accumulation } from '../schedule/stages.ts';
import { storeOutputs } from './body.ts';
import { asVector, below, binary, type Code, index, least, load, name, real, times } from './kernel.ts';
import { isShifted, monoids } from './monoids.ts';
import { type Rows, rowLoop } from './wasm-abreast.ts';
import { openRepeated } from './wasm-join.ts';
import {
  columnParts,
  copiesWaiting,
  mergeChunk,
  openRunning,
  partialAt,
  type Reduction,
  type Running,
  reals,
  runningSlots,
  runningWidth,
  type Slots,
  slotOf,
  stateSlots,
  step,
  tileOf,
} from './wasm-reduction.ts';
import {
  type Builder,
  forLoop,
  laneLoop,
  openOwn,
  openVariable,
  roundUp,
  sizeOf,
  unflatten,
  type Variable,
} from './wasm-routine.ts';
import { type Beside, type Chunk, chunkOf, longRow, openWalk, visitBeside } from './wasm-walk.ts';

/** Some columns in one part: those of a tile, or of several. */
interface Tile {
  readonly block: Code;
  /** The kept index of column 0. */
  readonly base: Code;
  readonly columns: readonly [Code, Code];
  /** How many elements each column has taken in, where a state counts them. */
  readonly before?: Variable;
  /** Says what repeats from row to row, in a loop over lanes. */
  readonly give: (position: Code) => void;
  /** The array that accumulators wait in. */
  readonly own: string;
}

/** Where a phase runs beside it, a part has the rows of all tiles. */
export function reduceColumns(builder: Builder, reduction: Reduction, beside?: Beside): void {
  const { nest, begin, end } = builder;
  const { group, kept, lanes, blocks } = reduction;
  const outer = kept.slice(0, -1);
  const own = openOwn(builder);
  const tiles = nest.local('tiles', columnParts(builder, reduction).tiles);
  const walk = openWalk(builder, reduction, beside);
  const { hasBeside, each, units } = walk;
  const isLong: Code = builder.isVectored
    ? below(index(longRow - 1), times(sizeOf(builder, [lanes]), each))
    : { code: 'truth', type: 'bool', value: false };
  const always = outer.length === 0 ? repeat(builder, reduction, each) : undefined;
  const onPart = (part: Code): void => {
    const block = nest.local('block', binary('%', part, blocks));
    const at = nest.local('at', binary('/', part, blocks));
    const width = sizeOf(builder, [lanes]);
    const left = nest.local('left', binary('*', binary('%', at, tiles), index(tileOf(group))));
    const count = binary('+', index(1), times(hasBeside, tiles));
    const right = nest.local('right', least(binary('+', left, times(count, index(tileOf(group)))), width));
    const row = nest.local('outer', binary('/', at, tiles));
    unflatten(builder, row, outer);
    const base = nest.local('base', binary('*', row, width));
    const isCounted = group.accumulations.some(({ monoid }) => monoids[monoid].counts);
    const before = isCounted ? openVariable(builder, 'before', real(0)) : undefined;
    const give = always ?? repeat(builder, reduction, each);
    const mine: Tile = { own, block, base, columns: [left, right], give, ...(before && { before }) };
    clear(builder, reduction, mine);
    const share = (k: Code): Code => binary('/', binary('*', units, k), blocks);
    const from = nest.local('from', share(block));
    const to = nest.local('to', share(binary('+', block, index(1))));
    const onUnit = (unit: Code): void => {
      if (beside) visitBeside(builder, walk, beside, unit);
      const chunk = chunkOf(builder, walk, unit, isLong);
      const takeIn = (tile: Tile): void => {
        if (builder.isVectored) takeInVectors(builder, reduction, tile, chunk);
        else takeInElements(builder, reduction, tile, chunk);
      };
      if (beside) eachTile(builder, reduction, mine, takeIn);
      else takeIn(mine);
    };
    forLoop(builder, [], from, to, onUnit, 'unit');
  };
  forLoop(builder, outer.flat(), begin, end, onPart, 'part');
}

/** Takes in a unit tile by tile: there is room for the accumulators of one. */
function eachTile(
  builder: Builder,
  { group }: Reduction,
  { before, columns: [left, right], ...mine }: Tile,
  takeIn: (tile: Tile) => void,
): void {
  const { nest } = builder;
  const size = index(tileOf(group));
  const counted = before && openVariable(builder, 'counted', before);
  const onTile = (k: Code): void => {
    const start = nest.local('start', binary('+', left, times(k, size)));
    const end = nest.local('end', least(binary('+', start, size), right));
    if (counted) nest.push({ do: 'assign', name: counted.name, value: before });
    takeIn({ ...mine, columns: [start, end], ...(counted && { before: counted }) });
  };
  forLoop(builder, [], index(0), roundUp(binary('-', right, left), size), onTile, 'tile');
  if (counted) nest.push({ do: 'assign', name: before.name, value: counted });
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

/** What repeats from row to row has room after the accumulators. */
const repeat = (builder: Builder, { joining, group }: Reduction, each: Code): Tile['give'] =>
  joining ? openRepeated(builder, joining, each, runningWidth(group)) : () => {};

function takeInElements(builder: Builder, reduction: Reduction, mine: Tile, chunk: Chunk): void {
  const { group, over, lanes } = reduction;
  laneLoop(builder, lanes, mine.columns, 1, (column) => {
    const firsts = firstsOf(builder, reduction, chunk);
    const running = openRunning(builder, group, 1, firsts);
    const onEach = (row: Code): void => onRow(builder, reduction, chunk, row, running);
    forLoop(builder, over.flat(), chunk.span.from, chunk.span.below, onEach, 'row');
    for (const [k, { names }] of running.entries())
      merge(builder, reduction, mine, column, k, reals(names), firsts[k]!, chunk);
  });
  takenIn(builder, mine, chunk);
}

/**
 * Accumulators wait in scratch while a few rows at a time are walked along: reading memory in order is worth more than
 * keeping them in registers.
 */
function takeInVectors(builder: Builder, reduction: Reduction, mine: Tile, chunk: Chunk): void {
  const waiting = openWaiting(builder, reduction, mine, chunk);
  initialise(builder, reduction, mine, chunk, waiting);
  walkRows(builder, reduction, mine, chunk, waiting);
  const mergeOne = (row: Code): void => mergeRow(builder, reduction, mine, chunk, waiting, row);
  if (reduction.joining) forLoop(builder, [], index(0), chunk.joined, mergeOne);
  else mergeOne(index(0));
}

/** Accumulators of the columns of joined rows, as they wait in scratch. */
interface Waiting {
  readonly slots: readonly Slots[];
  readonly columns: readonly [Code, Code];
  readonly at: (slot: number, column: Code) => Code;
  readonly load: (slot: number, column: Code) => Code;
  readonly store: (slot: number, column: Code, value: Code) => void;
}

function openWaiting({ nest }: Builder, { group }: Reduction, { columns, own }: Tile, chunk: Chunk): Waiting {
  const [left, right] = columns;
  const end = nest.local('end', times(right, chunk.joined));
  /** Where each value waits for column 0. */
  const places = Array.from({ length: runningWidth(group) }, (_, slot) =>
    nest.local('slot', binary('-', index(slot * slotOf(group)), left)),
  );
  const at = (slot: number, column: Code): Code => binary('+', places[slot]!, column);
  return {
    slots: runningSlots(group),
    columns: [left, end],
    at,
    load: (slot, column) => load(own, at(slot, column), 'vector'),
    store: (slot, column, value) => nest.push({ do: 'store', array: own, index: at(slot, column), value }),
  };
}

/** Lets all accumulators begin at their identities, about the first row where they are shifted. */
function initialise(
  builder: Builder,
  reduction: Reduction,
  mine: Tile,
  chunk: Chunk,
  { slots, columns, store }: Waiting,
): void {
  const onColumns = (column: Code): void => {
    mine.give(column);
    const firsts = firstsOf(builder, reduction, chunk);
    for (const [k, { accumulation, first }] of slots.entries()) {
      const { running } = monoids[accumulation.monoid];
      for (const [i, identity] of running.entries()) store(first + i, column, asVector(real(identity)));
      if (isShifted(accumulation)) store(first + running.length, column, firsts[k]!);
    }
  };
  laneLoop(builder, reduction.lanes, columns, 1, onColumns, { isOpen: true });
}

/** Takes in the rows of a chunk, some of them abreast. */
function walkRows(
  builder: Builder,
  reduction: Reduction,
  mine: Tile,
  chunk: Chunk,
  { slots, columns, load: waits, store }: Waiting,
): void {
  const { stage, group, over, lanes, neighbours } = reduction;
  const { nest } = builder;
  const isOpen = stage.riders.length === 0;
  const rows: Rows = { ...chunk.span, axes: over.flat(), step: chunk.each, neighbours };
  const takeUp = ({ accumulation, first }: Slots, column: Code): Running => {
    const { running } = monoids[accumulation.monoid];
    const variables = running.map((_, i) => openVariable(builder, 'sum', waits(first + i, column)));
    return {
      accumulation,
      names: variables.map((variable) => variable.name),
      first: isShifted(accumulation) ? nest.local('first', waits(first + running.length, column)) : real(0),
    };
  };
  rowLoop(builder, rows, (eachRow) => {
    const onColumns = (column: Code): void => {
      mine.give(column);
      const running = slots.map((one) => takeUp(one, column));
      eachRow((row) => onRow(builder, reduction, chunk, row, running));
      for (const [k, { names }] of running.entries())
        for (const [i, id] of names.entries()) store(slots[k]!.first + i, column, name(id, 'vector'));
    };
    laneLoop(builder, lanes, columns, copiesWaiting(group), onColumns, { isOpen });
  });
}

/** Merges what was accumulated of one of the joined rows. */
function mergeRow(
  builder: Builder,
  reduction: Reduction,
  mine: Tile,
  chunk: Chunk,
  { slots, at }: Waiting,
  row: Code,
): void {
  const { nest } = builder;
  const shift = nest.local('shift', times(row, sizeOf(builder, [reduction.lanes])));
  forLoop(builder, [], ...mine.columns, (column) => {
    const read = (slot: number): Code =>
      nest.local('part', load(mine.own, at(slot, binary('+', column, shift))));
    for (const [k, { accumulation, first }] of slots.entries()) {
      const { running } = monoids[accumulation.monoid];
      const parts = running.map((_, i) => read(first + i));
      const base = isShifted(accumulation) ? read(first + running.length) : real(0);
      merge(builder, reduction, mine, column, k, parts, base, chunk);
    }
  });
  takenIn(builder, mine, chunk);
}

function takenIn({ nest }: Builder, { before }: Tile, { elements }: Chunk): void {
  if (before) nest.push({ do: 'assign', name: before.name, value: binary('+', before, elements) });
}

function onRow(
  builder: Builder,
  { stage }: Reduction,
  chunk: Chunk,
  row: Code,
  running: readonly Running[],
): void {
  chunk.at(row);
  step(builder, running);
  storeOutputs(builder.nest, builder.tensors, stage.riders);
}

/** Merges one column's chunk into its state. */
function merge(
  builder: Builder,
  reduction: Reduction,
  { block, base, before }: Tile,
  column: Code,
  k: number,
  parts: readonly Code[],
  first: Code,
  { elements }: Chunk,
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
    counts?.includes(i) ? before! : nest.local('total', load(partials.name, place)),
  );
  const after = mergeChunk(builder, accumulation, parts, elements, first, totals);
  for (const [i, place] of places.entries())
    nest.push({ do: 'store', array: partials.name, index: place, value: after[i]! });
}

/** The operands at the first row of a chunk, in each lane's column, where elements are taken in relative to it. */
function firstsOf(builder: Builder, { group, over }: Reduction, { span, at }: Chunk): Code[] {
  const { nest } = builder;
  const firstOf = ({ x }: Accumulation): Code => {
    let first: Code = real(0);
    const statements = nest.scope(over.flat(), () => {
      at(span.from);
      first = nest.local('first', nest.value(x));
    });
    nest.push(...statements);
    return first;
  };
  return group.accumulations.map((accumulation) =>
    isShifted(accumulation) ? firstOf(accumulation) : real(0),
  );
}
