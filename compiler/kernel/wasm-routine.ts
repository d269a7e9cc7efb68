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
  options: ScopeOptions = {},
): void {
  const id = names.fresh(base);
  const statements = nest.scope(axes, () => body(name(id, 'index')), options);
  nest.push({ do: 'for', axes, name: id, from, below: limit, step: index(1), body: statements });
}

/**
 * The loop over parts: each is a block of one kept index, and the last counts fastest. Indices are carried on from
 * part to part, since dividing for each would cost more than a short row.
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
  assignIf(builder, below(index(1), blocks), [
    [block, binary('%', begin, blocks)],
    [first, binary('/', begin, blocks)],
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
      nest.push(...advance([{ at: block, size: blocks }, ...placed]));
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
  readonly count: Code;
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
  const count = settle('units', binary('*', roundUp(rows, rowsEach), pieces));
  return { rows, width, rowsEach, pieces, count };
}

/** 1 where a size is no less than the limit, or 0. */
export const reaches = (size: Code, limit: Code): Code => least(index(1), binary('/', size, limit));

/** About how many units there are, for the runtime to decide into how many blocks they are worth cutting. */
export const roughUnits = (context: Context, groups: readonly AxisGroup[]): Code =>
  roundUp(sizeOf(context, groups), index(chunk));

/** How many rows of a width make a unit. */
const rowsEachOf = (width: Code): Code =>
  greatest(index(1), binary('/', index(chunk), greatest(index(1), width)));

/** Elements of rows that are worth it: of shorter ones, too many make a unit; of longer ones, the next is far away anyway. */
const [shortRow, longRow] = [64, 4096];

/** How many units of whole rows there are, for rows that are worth it. */
export function stripsOf(context: Context, rowGroups: readonly AxisGroup[], lanes: AxisGroup): Code {
  if (rowGroups.length === 0) return index(1);
  const width = sizeOf(context, [lanes]);
  const isNotShort = least(index(1), binary('/', width, index(shortRow)));
  const isNotLong = least(index(1), binary('/', index(longRow), greatest(index(1), width)));
  const units = roundUp(sizeOf(context, rowGroups), rowsEachOf(width));
  return greatest(index(1), times(isNotShort, isNotLong, units));
}

/** Visits the units of some blocks; `unit` gets the rows and the piece of each row that are its own. */
export function unitLoop(
  builder: Builder,
  units: Units,
  block: Code,
  blocks: Code,
  unit: (rows: readonly [Code, Code], piece: readonly [Code, Code]) => void,
  nextBlock = binary('+', block, index(1)),
): void {
  const { nest } = builder;
  const { rows, width, rowsEach, pieces, count } = units;
  const share = (k: Code): Code => binary('/', binary('*', count, k), blocks);
  const from = openVariable(builder, 'from', index(0));
  const to = openVariable(builder, 'to', count);
  assignIf(builder, below(index(1), blocks), [
    [from, share(block)],
    [to, share(nextBlock)],
  ]);
  forLoop(
    builder,
    [],
    from,
    to,
    (at) => {
      const row = openVariable(builder, 'row', binary('*', at, rowsEach));
      const left = openVariable(builder, 'left', index(0));
      const right = openVariable(builder, 'right', width);
      assignIf(builder, below(index(1), pieces), [
        [row, binary('*', binary('/', at, pieces), rowsEach)],
        [left, binary('*', binary('%', at, pieces), index(chunk))],
        [right, least(binary('+', left, index(chunk)), width)],
      ]);
      const lastRow = nest.local('last_row', least(binary('+', row, rowsEach), rows));
      unit([row, lastRow], [left, right]);
    },
    'unit',
  );
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
