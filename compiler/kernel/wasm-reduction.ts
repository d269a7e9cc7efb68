/**
 * What reductions for the CPU with vectors have in common: elements are taken in by chunks in f32, chunks are merged in
 * f64. Where the innermost axis is summed, lanes run along rows; where it is kept, along columns, which are kept indices.
 */
import type { Accumulation, Group, ReduceStage } from '../schedule/stages.ts';
import { type AxisGroup, buffersOf, collapse } from './axis-groups.ts';
import {
  type Binding,
  binary,
  type Code,
  index,
  name,
  ownElements,
  real,
  times,
  type Uniform,
} from './kernel.ts';
import { monoids } from './monoids.ts';
import type { Found } from './pack.ts';
import { neighboursFor } from './wasm-abreast.ts';
import { type Joining, joiningOf } from './wasm-join.ts';
import { type Builder, type Context, roundUp, sizeOf } from './wasm-routine.ts';

type Scratch = Omit<Binding, 'access'>;

/** Columns that a part of a column reduction spans at most. */
export const tile = 1024;
/** Elements between arrays that are read together, or those of 4 KiB each would share places in a cache. */
export const gap = 80;
/** Elements from slot to slot of what a thread has to itself, and how many slots that has. */
export const slotElements = tile + gap;
export const ownSlots = Math.floor(ownElements / slotElements);
/** Rows that a column reduction takes in before it merges, as many of each part of the rows that go abreast. */
export const rowChunk = 124;

/** A group of reductions over one space, with the axes sorted into what is kept and what is summed. */
export interface Reduction {
  readonly stage: ReduceStage;
  readonly group: Group;
  readonly kept: readonly AxisGroup[];
  readonly over: readonly AxisGroup[];
  /** The innermost axes, along which four elements are taken at a time. */
  readonly lanes: AxisGroup;
  readonly isColumns: boolean;
  /** Of a column reduction, how its rows can be joined. */
  readonly joining?: Joining | undefined;
  /** Of a column reduction, how many rows are walked along at a time. */
  readonly neighbours: number;
  /** The states of all parts, in f64. */
  readonly partials: Scratch;
  /** Into how many blocks each kept index is cut, and the uniform that says it. */
  readonly blocks: Code;
  readonly decided: Uniform;
}

/**
 * How the only group of a stage is reduced: its axes joined where all that it reads lets them be, but none of those that
 * are `fixed` with one that is not. Kept indices are cut into as many blocks as `decided` says.
 */
export function describeReduction(
  context: Context,
  stage: ReduceStage,
  decided: Uniform,
  fixed: readonly string[],
  found: Found,
): Reduction {
  const { tensors, inOrder } = context;
  const group = stage.groups[0]!;
  const blocks = name(decided.name, 'index');
  const operands = group.accumulations.map(({ x }) => x);
  const exprs = [...operands, ...stage.riders.map(({ expr }) => expr)];
  const isOver = (axis: string): boolean => group.over.includes(axis);
  const isApart = (a: string, b: string): boolean =>
    isOver(a) !== isOver(b) || fixed.includes(a) !== fixed.includes(b);
  const axes = inOrder(stage.space);
  const buffers = buffersOf(context, exprs, stage.riders);
  const groups = collapse(axes, buffers, isApart);
  const lanes = groups.at(-1)!;
  const isColumns = !isOver(lanes[0]!);
  const kept = groups.filter((g) => !isOver(g[0]!));
  const over = groups.filter((g) => isOver(g[0]!));
  const states = group.accumulations.reduce((n, { monoid }) => n + monoids[monoid].identity.length, 0);
  const length = times(index(states), sizeOf(context, kept), blocks);
  const partials = tensors.scratch('partials', inOrder(group.kept), length, 'f64');
  // joined rows take whole slots, of accumulators as of what is repeated
  const room = ownSlots - runningWidth(group);
  const isJoined = isColumns && groups.at(-2) === over.at(-1) && room >= 0;
  const joining = isJoined
    ? joiningOf(context, exprs, groups, found, { within: over.slice(0, -1).flat(), room })
    : undefined;
  const alongRows = buffers.filter((own) => own.some(isOver) && own.includes(lanes[0]!));
  const neighbours = neighboursFor(alongRows.length);
  return { stage, group, kept, over, lanes, isColumns, joining, neighbours, partials, blocks, decided };
}

/**
 * How far the accumulators of a part lie apart, and how many columns it spans: as many as there is room to accumulate.
 * Less than a slot only where they need more slots than there are, and then no rows are joined.
 */
export const slotOf = (group: Group): number =>
  Math.min(slotElements, 16 * Math.floor(ownElements / 16 / runningWidth(group)));
export const tileOf = (group: Group): number => Math.min(tile, slotOf(group));

/** Into what a column reduction can be cut: tiles of columns, and at most so many units of rows. */
export function columnParts(
  context: Context,
  { group, kept, over, lanes }: Reduction,
): { tiles: Code; kept: Code; units: Code } {
  const tiles = roundUp(sizeOf(context, [lanes]), index(tileOf(group)));
  const units = roundUp(sizeOf(context, over), index(rowChunk));
  return { tiles, kept: binary('*', sizeOf(context, kept.slice(0, -1)), tiles), units };
}

/** Where the values of an accumulation lie among those of its group. */
export interface Slots {
  readonly accumulation: Accumulation;
  readonly first: number;
}

function placesOf({ accumulations }: Group, width: (accumulation: Accumulation) => number): Slots[] {
  let next = 0;
  return accumulations.map((accumulation) => {
    const first = next;
    next += width(accumulation);
    return { accumulation, first };
  });
}

export const stateSlots = (group: Group): Slots[] =>
  placesOf(group, ({ monoid }) => monoids[monoid].identity.length);

/** Running parts, and the first element where they are taken about it. */
const widthOf = ({ monoid }: Accumulation): number =>
  monoids[monoid].running.length + (monoids[monoid].isShifted ? 1 : 0);
export const runningSlots = (group: Group): Slots[] => placesOf(group, widthOf);
export const runningWidth = ({ accumulations }: Group): number =>
  accumulations.reduce((n, accumulation) => n + widthOf(accumulation), 0);

/** The state of kept index `at` and a block, slot after slot. */
export function partialAt(
  context: Context,
  { blocks, kept }: Reduction,
  slot: number,
  block: Code,
  at: Code,
): Code {
  const row = binary('+', times(index(slot), blocks), block);
  return binary('+', binary('*', row, sizeOf(context, kept)), at);
}

/** Variables that accumulate: vectors, or without them reals. */
export interface Running {
  readonly accumulation: Accumulation;
  readonly names: readonly string[];
  /** The first element, which moments are taken about. */
  readonly first: Code;
}

export function openRunning(
  builder: Builder,
  group: Group,
  copies: number,
  firsts: readonly Code[],
): Running[] {
  const { nest, names, isVectored } = builder;
  return group.accumulations.map((accumulation, k) => ({
    accumulation,
    first: firsts[k]!,
    names: monoids[accumulation.monoid].running.map((identity) => {
      const id = names.fresh('sum');
      if (isVectored) nest.push({ do: 'accumulator', name: id, copies, identity });
      else nest.push({ do: 'var', name: id, value: real(identity) });
      return id;
    }),
  }));
}

export function step({ nest, isVectored }: Builder, running: readonly Running[]): void {
  for (const { accumulation, names, first } of running) {
    const before = names.map((id) => name(id, isVectored ? 'vector' : 'real'));
    const value = nest.value(accumulation.x);
    const after = monoids[accumulation.monoid].step(before, value, first, nest.local);
    for (const [i, id] of names.entries()) nest.push({ do: 'assign', name: id, value: after[i]! });
  }
}

/** What the accumulators of a chunk hold, as reals. */
export const foldedOf = ({ isVectored }: Builder, { accumulation, names }: Running, copies: number): Code[] =>
  names.map((id): Code => {
    if (!isVectored) return name(id, 'real');
    return { code: 'fold', type: 'real', merge: monoids[accumulation.monoid].lanes, name: id, copies };
  });

/** Merges the state of a chunk of so many elements into what is at hand, and hands the result on. */
export function mergeChunk(
  { nest }: Builder,
  { monoid }: Accumulation,
  parts: readonly Code[],
  elements: Code,
  first: Code,
  totals: readonly Code[],
): Code[] {
  const { state, merge } = monoids[monoid];
  const taken = state(
    parts.map((part) => nest.local('part', part)),
    elements,
    first,
    nest.local,
  ).map((value) => nest.local('taken', value));
  const merged = merge(totals, taken, nest.local);
  return merged.length > 1 ? merged.map((value) => nest.local('next', value)) : merged;
}

export const realOf = (x: Code): Code => ({ code: 'real', type: 'real', x });

/** Vectors to take in side by side: as many as hide the latency of adding, without running out of registers. */
export const copiesFor = ({ accumulations }: Group): number => {
  const parts = accumulations.reduce((n, { monoid }) => n + monoids[monoid].running.length, 0);
  return parts <= 2 ? 4 : parts <= 4 ? 2 : 1;
};

/** The same for rows walked along one by one, whose accumulators wait in memory. */
export const copiesWaiting = (group: Group): number => (runningWidth(group) <= 3 ? 2 : 1);

export const keptAxes = ({ inOrder }: Context, { group }: Reduction): string[] => inOrder(group.kept);

/** Variables for the state of each accumulation, by default at its identity. */
export function openTotals(
  { nest, names }: Builder,
  { accumulations }: Group,
  initial = (k: number, i: number): Code => real(monoids[accumulations[k]!.monoid].identity[i]!),
): string[][] {
  return accumulations.map(({ monoid }, k) =>
    monoids[monoid].identity.map((_, i) => {
      const id = names.fresh('total');
      nest.push({ do: 'var', name: id, value: initial(k, i) });
      return id;
    }),
  );
}

export const reals = (ids: readonly string[]): Code[] => ids.map((id) => name(id, 'real'));

export function assignAll({ nest }: Builder, ids: readonly string[], values: readonly Code[]): void {
  for (const [i, id] of ids.entries()) nest.push({ do: 'assign', name: id, value: values[i]! });
}
