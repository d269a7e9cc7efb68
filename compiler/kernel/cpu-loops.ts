/** What CPU kernels are built of: loops over groups of axes, and loops that take several elements side by side. */
import type { Axes } from '../graph/axes.ts';
import { formula } from '../graph/print.ts';
import { isOptimised } from '../schedule/program.ts';
import type { Accumulation, Group } from '../schedule/stages.ts';
import type { Direction } from '../spec/spec.ts';
import { type AxisGroup, place, sizeOf } from './axis-groups.ts';
import { type Code, index, name, real, type Statement } from './kernel.ts';
import { isShifted, monoids } from './monoids.ts';
import type { Names } from './names.ts';
import type { Nest, NestOptions } from './nest.ts';
import type { Tensors } from './tensors.ts';

export { sizeOf };

export interface Builder {
  readonly tensors: Tensors;
  readonly names: Names;
  readonly nest: Nest;
  readonly inOrder: (axes: Axes) => string[];
  readonly sides: Sides;
  /** Values that need no computing in the loops that are being built. */
  readonly found: { current?: NestOptions['found'] };
}

/** How many neighbours are taken side by side along a row, of columns that are summed, and of columns of a map. */
export interface Sides {
  readonly rows: number;
  readonly sums: number;
  readonly maps: number;
}

/**
 * Each turn of a loop finds arrays and their lengths anew, so that several elements a turn cost much less. Along a
 * column a turn is at another line of cache, of which a map takes half; sums would need too many variables for that.
 */
export const sidesOf = (direction: Direction): Sides =>
  isOptimised(direction) ? { rows: 4, sums: 4, maps: 8 } : oneAtATime;

export const oneAtATime: Sides = { rows: 1, sums: 1, maps: 1 };

/** Rows taken in for a few columns at a time: so many share what is read or computed once a column. */
const rowChunk = 64;

/** A loop over some axes as one. */
export function loop(
  builder: Builder,
  group: AxisGroup,
  [from, below]: readonly [Code, Code],
  body: () => void,
): void {
  const { nest, names } = builder;
  const id = names.fresh(`i_${group.at(-1)}`);
  const statements = nest.scope(group, () => {
    place(builder, group, name(id, 'index'));
    body();
  });
  nest.push({ do: 'for', axes: group, name: id, from, below, step: index(1), body: statements });
}

/** Nested loops over groups of axes, the first of them outside. */
export function loops(builder: Builder, groups: readonly AxisGroup[], body: () => void): void {
  const [group, ...rest] = groups;
  if (!group) body();
  else loop(builder, group, [index(0), sizeOf(builder, [group])], () => loops(builder, rest, body));
}

export const eachAlone = (axes: readonly string[]): AxisGroup[] => axes.map((axis) => [axis]);

/** A loop over neighbouring elements, several side by side. */
export function lanes(builder: Builder, group: AxisGroup, side: number, body: () => void): void {
  const { nest, names } = builder;
  const id = names.fresh(`i_${group.at(-1)}`);
  const statements = nest.scope(group, () => {
    place(builder, group, name(id, 'index'));
    body();
  });
  const below = sizeOf(builder, [group]);
  nest.push({ do: 'lanes', axes: group, name: id, from: index(0), below, copies: side, body: statements });
}

/** A loop over chunks of rows; `body` gets where the chunk begins and ends. */
export function chunks(
  builder: Builder,
  rows: AxisGroup,
  body: (range: readonly [Code, Code]) => void,
): void {
  const { nest, names } = builder;
  const id = names.fresh('first_row');
  const size = sizeOf(builder, [rows]);
  const from = name(id, 'index');
  const statements = nest.scope([], () => {
    const end: Code = { code: 'binary', type: 'index', operator: '+', a: from, b: index(rowChunk) };
    body([from, nest.local('last_row', { code: 'least', type: 'index', a: end, b: size })]);
  });
  nest.push({
    do: 'for',
    axes: [],
    name: id,
    from: index(0),
    below: size,
    step: index(rowChunk),
    body: statements,
  });
}

/** Loops that may become a function of their own. */
export function outlined({ nest }: Builder, id: string, body: () => void): void {
  const statements: readonly Statement[] = nest.scope([], body);
  nest.push({ do: 'outlined', name: id, body: statements });
}

/** In an order that does not depend on who asked for them, so that kernels share loops. */
export const sorted = ({ accumulations }: Group): Accumulation[] => {
  const key = ({ monoid, x }: Accumulation): string => `${monoid} ${formula(x)}`;
  return [...accumulations].sort((a, b) => (key(a) < key(b) ? -1 : 1));
};

export const partsOf = ({ monoid }: Accumulation): readonly number[] => monoids[monoid].running;

/** The operand at the first of the elements it is reduced over: the shift of its moments. */
export function firstOf({ nest }: Builder, accumulation: Accumulation): Code {
  if (!isShifted(accumulation)) return real(0);
  const { x, over } = accumulation;
  let first: Code = real(0);
  const statements = nest.scope([...over], () => {
    for (const axis of over) nest.at(axis, index(0));
    first = nest.local('first', nest.value(x));
  });
  nest.push(...statements);
  return first;
}
