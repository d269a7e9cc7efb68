/** What the routines of a WebAssembly kernel are built of: loops over parts, units of work and lanes. */
import type { Axes } from '../graph/axes.ts';
import { type AxisGroup, place, sizeOf } from './axis-groups.ts';
import { openVariable, type Variable } from './body.ts';
import {
  below,
  binary,
  type Code,
  ceilDiv,
  greatest,
  index,
  least,
  name,
  type Routine,
  type Statement,
  times,
} from './kernel.ts';
import type { Names } from './names.ts';
import type { Nest } from './nest.ts';
import type { ScopeOptions } from './nest-frames.ts';
import type { Packed } from './pack.ts';
import type { Scalars } from './scalar.ts';
import type { Tensors } from './tensors.ts';

export { openVariable, place, sizeOf, type Variable };

/** Elements that are accumulated in f32 before they are merged in f64, and that a unit of work has at least. */
const chunk = 1024;

/** What all routines of one program share. */
export interface Context {
  readonly tensors: Tensors;
  readonly scalars: Scalars;
  readonly packed: Packed;
  /** Whether four elements are computed at a time, in f32; otherwise one, in f64. */
  readonly isVectored: boolean;
  readonly inOrder: (axes: Axes) => string[];
}

export interface Builder extends Context {
  readonly nest: Nest;
  readonly names: Names;
  /** The range that the routine is called for. */
  readonly begin: Code;
  readonly end: Code;
}

export function openRoutine(context: Context, nestOf: (names: Names) => Nest): Builder {
  const names = context.tensors.locals();
  const begin = name(names.fresh('begin'), 'index');
  const end = name(names.fresh('end'), 'index');
  return { ...context, names, nest: nestOf(names), begin, end };
}

export function closeRoutine(builder: Builder, id: string, over: Routine['over']): Routine {
  const { begin, end, nest } = builder;
  const nameOf = (code: Code): string => (code.code === 'name' ? code.name : '');
  return { name: id, over, begin: nameOf(begin), end: nameOf(end), body: nest.finish() };
}

/** Places groups by one flat index over them, innermost fastest. */
export function unflatten(builder: Builder, flat: Code, groups: readonly AxisGroup[]): void {
  let rest = flat;
  for (let i = groups.length - 1; i >= 0; i--) {
    const group = groups[i]!;
    const size = sizeOf(builder, [group]);
    const position = i === 0 ? rest : binary('%', rest, size);
    place(builder, group, builder.nest.local(`i_${group.at(-1)}`, position));
    if (i > 0) rest = builder.nest.local('rest', binary('/', rest, size));
  }
}

export function forLoop(
  { nest, names }: Builder,
  axes: readonly string[],
  from: Code,
  limit: Code,
  body: (position: Code) => void,
  base = 'i',
  { step = index(1), ...options }: ScopeOptions & { readonly step?: Code } = {},
): void {
  const id = names.fresh(base);
  const statements = nest.scope(axes, () => body(name(id, 'index')), options);
  nest.push({ do: 'for', axes, name: id, from, below: limit, step, body: statements });
}

/**
 * The loop over parts: each is a block of one kept index, which counts faster. Indices are carried on from part to part,
 * since dividing for each would cost more than a short row.
 */
export function partLoop(
  builder: Builder,
  kept: readonly AxisGroup[],
  blocks: Code,
  body: (block: Code) => void,
): void {
  const { nest, begin, end } = builder;
  const first = openVariable(builder, 'first', begin);
  const block = openVariable(builder, 'block', index(0));
  const count = sizeOf(builder, kept);
  assignIf(builder, below(index(1), blocks), [
    [block, binary('/', begin, count)],
    [first, binary('%', begin, count)],
  ]);
  let rest: Code = first;
  const positions = kept.map((group) => ({ group, size: sizeOf(builder, [group]) })).reverse();
  const placed = positions.map(({ group, size }, i) => {
    const isLast = i === positions.length - 1;
    const at = openVariable(builder, `i_${group.at(-1)}`, isLast ? rest : binary('%', rest, size));
    if (!isLast) rest = nest.local('rest', binary('/', rest, size));
    return { group, size, at };
  });
  forLoop(
    builder,
    kept.flat(),
    begin,
    end,
    () => {
      for (const { group, at } of placed) place(builder, group, at);
      body(block);
      nest.push(...advance([...placed, { at: block, size: blocks }]));
    },
    'part',
  );
}

/** Adds one to the first counter, and where it is full to the next. */
function advance([counter, ...more]: readonly { at: Variable; size: Code }[]): Statement[] {
  if (!counter) return [];
  const { at, size } = counter;
  const step: Statement = { do: 'assign', name: at.name, value: binary('+', at, index(1)) };
  if (more.length === 0) return [step];
  const isFull: Code = { code: 'compare', type: 'bool', operator: '==', a: at, b: size };
  const carry: Statement[] = [{ do: 'assign', name: at.name, value: index(0) }, ...advance(more)];
  return [step, { do: 'if', test: isFull, body: carry }];
}

/** ⌈a / b⌉, for b > 0. */
export const roundUp = ceilDiv;

/** How the elements that one kept index has are cut into units of about a chunk: some rows, or a piece of one. */
export interface Units {
  readonly rows: Code;
  readonly width: Code;
  readonly rowsEach: Code;
  readonly pieces: Code;
  /** Blocks are cut between rows, or between pieces of them; where rows go abreast, between units. */
  readonly isApart: boolean;
}

/** `each` is how many rows are walked as one. Where they go abreast, a unit has all rows of one of the `blocks`. */
export function unitsOf(
  builder: Builder,
  rowGroups: readonly AxisGroup[],
  lanes: AxisGroup,
  each = index(1),
  blocks?: Code,
): Units {
  const settle = builder.nest.local;
  const rows = settle('rows', roundUp(sizeOf(builder, rowGroups), each));
  const width = settle('width', times(sizeOf(builder, [lanes]), each));
  const few = rowsEachOf(width);
  const inBlock = blocks && times(roundUp(rows, times(blocks, index(rowsApart))), index(rowsApart));
  const rowsEach = settle('rows_each', inBlock ? greatest(few, inBlock) : few);
  const pieces = settle('pieces', roundUp(width, index(chunk)));
  return { rows, width, rowsEach, pieces, isApart: inBlock !== undefined };
}

/** 1 where a size is no less than the limit, or 0. */
export const reaches = (size: Code, limit: Code): Code => least(index(1), binary('/', size, limit));

/** About how many units there are, for the runtime to decide into how many blocks they are worth cutting. */
export const roughUnits = (context: Context, groups: readonly AxisGroup[]): Code =>
  roundUp(sizeOf(context, groups), index(chunk));

/** How many rows of a width make a unit. */
const rowsEachOf = (width: Code): Code =>
  greatest(index(1), binary('/', index(chunk), greatest(index(1), width)));

/** Elements of rows that are worth it: of shorter ones, partials take long; of longer ones, the next is far away anyway. */
const [shortRow, longRow] = [32, 4096];
/** Times all rows that fit in memory, it is below 2³². */
const mostStrips = 1024;

/**
 * How many units of whole rows there are, for rows that are worth it; or how many rows, where each element is stored, which
 * is much faster in the order of memory.
 */
export function stripsOf(
  context: Context,
  rowGroups: readonly AxisGroup[],
  lanes: AxisGroup,
  stores: boolean,
): Code {
  if (rowGroups.length === 0) return index(1);
  const width = sizeOf(context, [lanes]);
  const isNotShort = reaches(width, index(shortRow));
  const isNotLong = reaches(index(longRow), greatest(index(1), width));
  const rows = sizeOf(context, rowGroups);
  const strips = least(stores ? rows : roundUp(rows, rowsEachOf(width)), index(mostStrips));
  return greatest(index(1), times(isNotShort, isNotLong, strips));
}

/** Visits the units of some blocks; `unit` gets the rows and the piece of each row that are its own. */
export function unitLoop(
  builder: Builder,
  units: Units,
  block: Code,
  blocks: Code,
  unit: OnUnit,
  nextBlock = binary('+', block, index(1)),
): void {
  const { rows, rowsEach, pieces, isApart } = units;
  const count = builder.nest.local('units', times(isApart ? roundUp(rows, rowsEach) : rows, pieces));
  const share = (k: Code): Code => binary('/', binary('*', count, k), blocks);
  const from = openVariable(builder, 'from', index(0));
  const to = openVariable(builder, 'to', count);
  assignIf(builder, below(index(1), blocks), [
    [from, share(block)],
    [to, share(nextBlock)],
  ]);
  const onUnit = (at: Code): void =>
    visitUnit(builder, units, at, least(binary('+', at, rowsEach), to), unit);
  forLoop(builder, [], from, to, onUnit, 'unit', isApart ? {} : { step: rowsEach });
}

/** Rows, and a piece of each. */
type OnUnit = (rows: readonly [Code, Code], piece: readonly [Code, Code]) => void;

/** Visits the unit that begins with a row; where rows are cut, the one that is a piece. */
function visitUnit(builder: Builder, units: Units, at: Code, end: Code, unit: OnUnit): void {
  const { rows, width, rowsEach, pieces, isApart } = units;
  const rowOf = (k: Code): Code => (isApart ? times(k, rowsEach) : k);
  const row = openVariable(builder, 'row', rowOf(at));
  const last = least(binary('+', row, rowsEach), rows);
  const lastRow = openVariable(builder, 'last_row', isApart ? last : end);
  const left = openVariable(builder, 'left', index(0));
  const right = openVariable(builder, 'right', width);
  assignIf(builder, below(index(1), pieces), [
    [row, rowOf(binary('/', at, pieces))],
    [lastRow, last],
    [left, binary('*', binary('%', at, pieces), index(chunk))],
    [right, least(binary('+', left, index(chunk)), width)],
  ]);
  unit([row, lastRow], [left, right]);
}

/** Elements of rows that make a strip where blocks are cut: of more, order is lost; of fewer, each takes too long. */
const stripElements = 64;

/**
 * Visits parts as `partLoop` and `unitLoop` do, but those of one block in strips of rows, each for all of their kept
 * indices, as they lie in memory: what is stored is written much faster so.
 */
export function stripLoop(
  builder: Builder,
  kept: readonly AxisGroup[],
  units: Units,
  blocks: Code,
  unit: OnUnit,
): void {
  const { nest, begin, end } = builder;
  const { rows, width, pieces } = units;
  const all = nest.local('kept', sizeOf(builder, kept));
  const items = nest.local('items', times(rows, pieces));
  const step = openVariable(builder, 'step', greatest(items, index(1)));
  const unitStep = openVariable(builder, 'unit_step', step);
  const firstBlock = openVariable(builder, 'first', index(0));
  const lastBlock = openVariable(builder, 'last', index(1));
  const few = binary('/', index(stripElements), greatest(index(1), width));
  assignIf(builder, below(index(1), blocks), [
    [step, greatest(greatest(pieces, index(1)), few)],
    [firstBlock, binary('/', begin, all)],
    [lastBlock, roundUp(end, all)],
    [unitStep, step],
  ]);
  assignIf(builder, below(index(1), pieces), [[unitStep, index(1)]]);
  const share = (k: Code): Code => binary('/', times(items, k), blocks);
  const onBlock = (block: Code): void => {
    const next = binary('+', block, index(1));
    const start = nest.local('start', times(block, all));
    const from = nest.local('from', binary('-', greatest(begin, start), start));
    const to = nest.local('to', binary('-', least(end, times(next, all)), start));
    const lastItem = nest.local('last_item', share(next));
    const onStrip = (item: Code): void => {
      const stripEnd = nest.local('strip_end', least(binary('+', item, step), lastItem));
      const onKept = (at: Code): void => {
        unflatten(builder, at, kept);
        const onUnit = (one: Code): void => visitUnit(builder, units, one, stripEnd, unit);
        forLoop(builder, [], item, stripEnd, onUnit, 'unit', { step: unitStep });
      };
      forLoop(builder, kept.flat(), from, to, onKept, 'kept');
    };
    forLoop(builder, [], share(block), lastItem, onStrip, 'strip', { step });
  };
  forLoop(builder, [], firstBlock, lastBlock, onBlock, 'block');
}

/** The name of the array that the thread has to itself. */
export function openOwn({ nest, names }: Builder): string {
  const id = names.fresh('own');
  nest.push({ do: 'let', name: id, value: { code: 'own', type: 'index' } });
  return id;
}

/** What divides is computed only where it makes a difference: short rows are many. */
export function assignIf(
  { nest }: Builder,
  test: Code,
  assignments: readonly (readonly [Variable, Code])[],
): void {
  const body = assignments.map(([{ name: id }, value]): Statement => ({ do: 'assign', name: id, value }));
  nest.push({ do: 'if', test, body });
}

/**
 * Visits the lanes of one row, so many vectors side by side. The values in `body` are vectors; without vectors, single
 * elements. `isOpen` is whether there is room past the end.
 */
export function laneLoop(
  builder: Builder,
  lanes: AxisGroup,
  [from, limit]: readonly [Code, Code],
  copies: number | 'by length',
  body: (position: Code) => void,
  { isOpen = false }: { readonly isOpen?: boolean } = {},
): void {
  const { nest, names, isVectored } = builder;
  if (!isVectored) {
    forLoop(builder, lanes, from, limit, (position) => {
      place(builder, lanes, position);
      body(position);
    });
    return;
  }
  const id = names.fresh('lane');
  const position = name(id, 'index');
  const statements = inLanes(builder, lanes, position, () => body(position));
  const chosen = copies === 'by length' ? copiesOf(statements) : copies;
  nest.push({
    do: 'lanes',
    axes: lanes,
    name: id,
    from,
    below: limit,
    copies: chosen,
    ...(isOpen && { isOpen }),
    body: statements,
  });
}

/** Long bodies gain less from being repeated. */
const copiesOf = ({ length }: readonly Statement[]): number => (length > 16 ? 1 : length > 8 ? 2 : 4);

/** Rows that go abreast though they are far apart: four streams keep memory as busy as it gets. */
export const rowsApart = 4;

/** Elements of a vector. */
export const vectorLanes = 4;

/** Statements of a scope in which four elements from this position on are computed at a time. */
export function inLanes(builder: Builder, lanes: AxisGroup, position: Code, body: () => void): Statement[] {
  const options = builder.isVectored ? { lanes: lanes.at(-1) } : {};
  return builder.nest.scope(
    lanes,
    () => {
      place(builder, lanes, position);
      body();
    },
    options,
  );
}
