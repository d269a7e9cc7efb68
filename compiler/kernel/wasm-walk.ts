/** How a column reduction walks its rows: in chunks, joined where they are short and lie side by side. */
import { below, binary, type Code, index, least, type Phase, type Statement, times } from './kernel.ts';
import { cutApart, type Span } from './wasm-abreast.ts';
import { joinedRows } from './wasm-join.ts';
import { type Reduction, realOf, rowChunk } from './wasm-reduction.ts';
import {
  assignIf,
  type Builder,
  type Context,
  openVariable,
  place,
  reaches,
  roundUp,
  rowsApart,
  sizeOf,
  unflatten,
} from './wasm-routine.ts';

/** Elements of rows that are walked as one: the fewer, the more of them go abreast with their accumulators in registers. */
const wanted = 48;

/** Elements from which a row is long. */
export const longRow = 128;

/** Elements from which so many rows stay in cache until another phase has visited them, and how many do of wide ones. */
const wideRow = 512;
const wideRows = 64;
/** Rows that are worth it: they are cut into units enough for several threads. */
const manyRows = 512;

/** A phase that keeps what a column reduction sums, and reads the same: its rows are in cache when it has been run. */
export interface Beside {
  readonly phase: Phase;
  /** Whether it is run unit by unit, 1 or 0; if not, by itself. */
  readonly isWorth: Code;
}

/** Whether a phase is worth running beside a reduction: there are many rows, and long ones. */
export function worthBeside(context: Context, { kept, over, lanes }: Reduction): Code {
  if (kept.length > 1) return index(0);
  return times(
    reaches(sizeOf(context, over), index(manyRows)),
    reaches(sizeOf(context, [lanes]), index(longRow)),
  );
}

export interface Walk {
  readonly reduction: Reduction;
  /** How many rows a unit has, of those that are walked as one. */
  readonly chunk: Code;
  /** Whether another phase visits the rows of a unit, which lie side by side then. */
  readonly hasBeside: Code;
  /** How many rows along the last of the summed axes are walked as one. */
  readonly each: Code;
  /** How many can be, of each index of the other summed axes, and how many are left then. */
  readonly whole: Code;
  readonly left: Code;
  /** How many indices the others have. */
  readonly others: Code;
  readonly units: Code;
  /** The first units, which have no rows that are left. */
  readonly wholeUnits: Code;
}

export function openWalk(builder: Builder, reduction: Reduction, beside: Beside | undefined): Walk {
  const { nest } = builder;
  const { over, lanes, joining } = reduction;
  const each = joinedRows(builder, joining, wanted);
  const others = joining ? sizeOf(builder, over.slice(0, -1)) : index(1);
  const rows = joining ? sizeOf(builder, [joining.rows]) : sizeOf(builder, over);
  const left = joining ? nest.local('rest', binary('%', rows, each)) : index(0);
  const whole = nest.local('rows', binary('-', rows, left));
  const hasBeside = beside ? nest.local('has_beside', beside.isWorth) : index(0);
  const fewer = times(
    index(rowChunk - wideRows),
    hasBeside,
    reaches(sizeOf(builder, [lanes]), index(wideRow)),
  );
  const chunk = nest.local('chunk', times(each, binary('-', index(rowChunk), fewer)));
  const wholeUnits = nest.local('units', roundUp(times(others, whole), chunk));
  const leftUnits = roundUp(times(others, least(left, index(1))), index(rowChunk));
  const units = joining ? nest.local('units', binary('+', wholeUnits, leftUnits)) : wholeUnits;
  return { reduction, chunk, hasBeside, each, whole, left, others, units, wholeUnits };
}

/** Runs the phase for the rows of a unit, if that is worth it. */
export function visitBeside(
  { nest, ...context }: Builder,
  { reduction, chunk, hasBeside }: Walk,
  { phase }: Beside,
  unit: Code,
): void {
  const from = times(unit, chunk);
  const end = least(binary('+', from, chunk), sizeOf(context, reduction.over));
  const run: Statement = { do: 'run', phase, from, below: end };
  nest.push({ do: 'if', test: below(index(0), hasBeside), body: [run] });
}

/** The rows of a unit, or the first of those that are walked as one. */
export interface Chunk {
  readonly span: Span;
  readonly each: Code;
  /** How many rows are one here: all that are left, or `each`. */
  readonly joined: Code;
  /** How many elements each column has. */
  readonly elements: Code;
  /** Sets where a row is. */
  readonly at: (row: Code) => void;
}

/** `isLong` is whether rows are worth walking along abreast though they are far apart. */
export function chunkOf(builder: Builder, walk: Walk, unit: Code, isLong: Code): Chunk {
  const { nest } = builder;
  const { reduction, chunk, each, whole, left, others, wholeUnits } = walk;
  const { over, joining } = reduction;
  const limit = (from: Code, rows: Code): Code => least(binary('+', from, chunk), rows);
  const from = openVariable(builder, 'from', times(unit, chunk));
  const to = openVariable(builder, 'to', limit(from, times(others, whole)));
  const chunkWith = (joined: Code, at: Chunk['at']): Chunk => {
    const span = spanOf(builder, walk, unit, [from, to], isLong);
    return { span, each, joined, elements: elementsOf(builder, span, each), at };
  };
  if (!joining) return chunkWith(each, (row) => unflatten(builder, row, over));
  const isLeft: Code = { code: 'compare', type: 'bool', operator: '>=', a: unit, b: wholeUnits };
  const joined = openVariable(builder, 'joined', each);
  const outer = over.slice(0, -1);
  if (outer.length === 0) {
    assignIf(builder, isLeft, [
      [from, whole],
      [to, binary('+', whole, each)],
      [joined, left],
    ]);
    return chunkWith(joined, (row) => place(builder, joining.rows, row));
  }
  // rows are counted as if those that are left, or those that are not, were all there are
  const span = openVariable(builder, 'span', whole);
  const first = openVariable(builder, 'first', index(0));
  assignIf(builder, isLeft, [
    [from, times(binary('-', unit, wholeUnits), chunk)],
    [to, limit(from, times(others, each))],
    [joined, left],
    [span, each],
    [first, whole],
  ]);
  return chunkWith(joined, (row) => {
    unflatten(builder, nest.local('rest', binary('/', row, span)), outer);
    place(builder, joining.rows, nest.local('i', binary('+', binary('%', row, span), first)));
  });
}

/**
 * The rows of a unit. Long ones that are not joined go abreast with others in the quarters of all rows, of which each
 * unit has as many as a chunk; what is left at the end is the last unit's.
 */
function spanOf(
  builder: Builder,
  { hasBeside, each, whole, others, wholeUnits }: Walk,
  unit: Code,
  rows: readonly [Code, Code],
  isLong: Code,
): Span {
  const { nest } = builder;
  const near = cutApart(builder, rows, each, isLong);
  const from = openVariable(builder, 'from', near.from);
  const together = openVariable(builder, 'together', near.together);
  const distance = openVariable(builder, 'distance', near.distance);
  const next = openVariable(builder, 'next', near.next);
  const last = openVariable(builder, 'last', near.below);
  const all = times(others, whole);
  const part = nest.local('part', binary('/', all, index(rowsApart)));
  const share = index(rowChunk / rowsApart);
  const first = least(times(unit, share), part);
  const afterParts = times(part, index(rowsApart));
  const isLast = binary('/', binary('+', unit, index(1)), wholeUnits);
  const isAlone = below(binary('+', each, hasBeside), index(2));
  const isApart: Code = { code: 'logic', type: 'bool', operator: 'and', a: isLong, b: isAlone };
  assignIf(builder, isApart, [
    [from, first],
    [together, least(binary('+', first, share), part)],
    [distance, part],
    [next, afterParts],
    [last, least(binary('+', afterParts, times(isLast, index(rowsApart))), all)],
  ]);
  return { from, together, distance, next, below: last };
}

function elementsOf({ nest }: Builder, { from, together, next, below: last }: Span, each: Code): Code {
  const abreast = times(binary('-', together, from), index(rowsApart));
  const rows = binary('+', abreast, binary('-', last, next));
  return nest.local('elements', realOf(binary('/', rows, each)));
}
