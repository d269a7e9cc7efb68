/** Reductions on the CPU: for one kept index at a time, or where what is kept is innermost, for all in one pass. */
import type { Accumulation, Group, ReduceStage } from '../schedule/stages.ts';
import { type AxisGroup, buffersOf, collapse, elementsOf } from './axis-groups.ts';
import { storeOutputs } from './body.ts';
import { columnLoops } from './cpu-columns.ts';
import { type Builder, eachAlone, firstOf, lanes, loops, outlined, partsOf, sorted } from './cpu-loops.ts';
import { binary, type Code, index, load, name, real, times } from './kernel.ts';
import { isShifted, monoids, resultsOf } from './monoids.ts';
import { expressionsOf } from './tensors.ts';

/** Lets what follows use the results of an accumulation, from its running parts. */
function define(builder: Builder, accumulation: Accumulation, parts: readonly Code[], first: Code): void {
  const { nest } = builder;
  const count: Code = { code: 'real', type: 'real', x: elementsOf(builder, accumulation.over) };
  const state = monoids[accumulation.monoid].state(parts, count, first, nest.local);
  for (const { expr, base, value } of resultsOf(accumulation, state, count, false))
    nest.define(expr, base, value);
}

/** The running parts that a reduction of one kept index leaves behind. */
export const partsIn = (stage: ReduceStage): number => stage.groups[0]!.accumulations.flatMap(partsOf).length;

/** Reduces inside the loop over what is kept; running parts are handed over in `sums`. */
export function reduceRows(builder: Builder, stage: ReduceStage, sums: string): void {
  const { nest, names, tensors } = builder;
  const group = stage.groups[0]!;
  const accumulations = sorted(group);
  const firsts = accumulations.map((accumulation) => firstOf(builder, accumulation));
  const axes = collapse(builder.inOrder(group.over), buffersOf(builder, expressionsOf(stage), stage.riders));
  const side = builder.sides.rows;
  outlined(builder, 'reduce', () => {
    const running = accumulations.map((accumulation) =>
      partsOf(accumulation).map((identity) => {
        const id = names.fresh('sum');
        nest.push({ do: 'accumulator', name: id, copies: 1, identity });
        return id;
      }),
    );
    loops(builder, axes.slice(0, -1), () =>
      lanes(builder, axes.at(-1)!, side, () => {
        for (const [k, { monoid, x }] of accumulations.entries()) {
          const before = running[k]!.map((id) => name(id, 'real'));
          const after = monoids[monoid].step(before, nest.value(x), firsts[k]!, nest.local);
          for (const [i, id] of running[k]!.entries())
            nest.push({ do: 'assign', name: id, value: after[i]! });
        }
        storeOutputs(nest, tensors, stage.riders);
      }),
    );
    let slot = 0;
    for (const ids of running) {
      for (const id of ids) {
        nest.push({ do: 'store', array: sums, index: index(slot++), value: name(id, 'real') });
      }
    }
  });
  let slot = 0;
  for (const [k, accumulation] of accumulations.entries()) {
    const parts = partsOf(accumulation).map(() => nest.local('sum', load(sums, index(slot++))));
    define(builder, accumulation, parts, firsts[k]!);
  }
}

/** A group whose running parts are in an array: one part after the other, each over what is kept. */
interface Spread {
  readonly group: Group;
  readonly accumulations: readonly Accumulation[];
  readonly array: string;
  /** Where the first elements are that moments are taken about, unless they are where the data is. */
  readonly firsts: string;
  readonly shifted: readonly Accumulation[];
}

/** The variables of an accumulation, and the first element that moments are taken about. */
type Running = ReadonlyMap<Accumulation, { readonly ids: readonly string[]; readonly first: Code }>;

/** How memory is walked along for the groups of a stage. */
interface Walk {
  readonly rows: readonly AxisGroup[];
  readonly line: AxisGroup;
  /** The rows that columns are taken along, where they are what all groups that keep the line have to sum. */
  readonly inner?: AxisGroup;
  readonly isColumn: (group: Group) => boolean;
}

const isOver = (group: Group, axis: string): boolean => group.over.includes(axis);

function walkOf(builder: Builder, stage: ReduceStage): Walk {
  const isApart = (a: string, b: string): boolean =>
    stage.groups.some((group) => isOver(group, a) !== isOver(group, b));
  const buffers = buffersOf(builder, expressionsOf(stage), stage.riders);
  const axes = collapse(builder.inOrder(stage.space), buffers, isApart);
  const [line, rows] = [axes.at(-1)!, axes.slice(0, -1)];
  const isColumn = (group: Group): boolean => !isOver(group, line[0]!);
  const columns = stage.groups.filter(isColumn);
  const inner = rows.at(-1);
  const isByColumns = inner && columns.length > 0 && columns.every((group) => isOver(group, inner[0]!));
  return { rows, line, isColumn, ...(isByColumns && { inner }) };
}

/**
 * Reduces in one pass over memory. Of groups that keep the innermost axes, a few columns are in registers while some
 * rows are taken in; of the others, each row adds up what these columns contribute.
 */
export function reduceSpread(builder: Builder, stage: ReduceStage): Spread[] {
  const { nest, tensors } = builder;
  const { rows, line, inner, isColumn } = walkOf(builder, stage);
  const outer = rows.slice(0, -1);
  // a first element can be read only outside all loops over what is reduced
  const isFirstAtHand = (group: Group): boolean =>
    inner !== undefined && isColumn(group) && !outer.flat().some((axis) => isOver(group, axis));
  const spreads = stage.groups.map((group) => openSpread(builder, group, isFirstAtHand(group)));
  const columns = spreads.filter(({ group }) => isColumn(group));
  const side = columns.length > 0 ? builder.sides.sums : builder.sides.rows;
  const onElement = (running: Running): void => {
    for (const spread of spreads) takeIn(builder, spread, running, isColumn(spread.group) ? 1 : side);
    storeOutputs(nest, tensors, stage.riders);
  };
  if (inner) {
    columnLoops(builder, { rows: inner, outer, line, side }, 'reduce_columns', (eachRow) => {
      const running = openRunning(builder, columns);
      eachRow(() => onElement(running));
      for (const spread of columns) addRunning(builder, spread, running);
    });
    return spreads;
  }
  outlined(builder, 'reduce_lines', () =>
    loops(builder, rows, () => {
      const alongLine = spreads.filter(({ group }) => !isColumn(group));
      const running = openRunning(builder, alongLine);
      lanes(builder, line, side, () => onElement(running));
      for (const spread of alongLine) addRunning(builder, spread, running);
    }),
  );
  return spreads;
}

/** `isFirstAtHand` is whether the first of what is reduced can be read where it is needed. */
function openSpread(builder: Builder, group: Group, isFirstAtHand: boolean): Spread {
  const { nest, names, inOrder } = builder;
  const accumulations = sorted(group);
  const identities = accumulations.flatMap(partsOf);
  const array = names.fresh('sums');
  const size = elementsOf(builder, group.kept);
  const fill = identities.every((identity) => identity === identities[0]) ? identities[0]! : 0;
  nest.push({ do: 'array', name: array, length: times(index(identities.length), size), fill });
  const firsts = names.fresh('firsts');
  const shifted = accumulations.filter(
    (one) => isShifted(one) && !(isFirstAtHand && isUnchanged(builder, one)),
  );
  if (shifted.length > 0)
    nest.push({ do: 'array', name: firsts, length: times(index(shifted.length), size), fill: 0 });
  const spread: Spread = { group, accumulations, array, firsts, shifted };
  const isUneven = identities.some((identity) => identity !== fill);
  if (!isUneven && shifted.length === 0) return spread;
  loops(builder, eachAlone(inOrder(group.kept)), () => {
    for (const [slot, identity] of isUneven ? identities.entries() : [])
      nest.push({ do: 'store', array, index: placeOf(builder, spread, slot), value: real(identity) });
    for (const [k, accumulation] of shifted.entries()) {
      const value = firstOf(builder, accumulation);
      nest.push({ do: 'store', array: firsts, index: placeOf(builder, spread, k), value });
    }
  });
  return spread;
}

const placeOf = (builder: Builder, { group }: Spread, slot: number): Code => {
  const { nest, inOrder } = builder;
  return binary('+', times(index(slot), elementsOf(builder, group.kept)), nest.flat(inOrder(group.kept)));
};

/** Whether an operand is a tensor as it lies there, and stays so. */
const isUnchanged = ({ tensors }: Builder, { x }: Accumulation): boolean =>
  x.op === 'input' && tensors.ofInput(x).role !== 'state';

function loadFirst(builder: Builder, spread: Spread, accumulation: Accumulation): Code {
  const k = spread.shifted.indexOf(accumulation);
  if (k < 0) return firstOf(builder, accumulation);
  return builder.nest.local('first', load(spread.firsts, placeOf(builder, spread, k)));
}

function openRunning(builder: Builder, spreads: readonly Spread[]): Running {
  const { nest, names } = builder;
  const open = (spread: Spread, accumulation: Accumulation) => {
    const ids = partsOf(accumulation).map((identity) => {
      const id = names.fresh('sum');
      nest.push({ do: 'accumulator', name: id, copies: 1, identity });
      return id;
    });
    return { ids, first: loadFirst(builder, spread, accumulation) };
  };
  return new Map(
    spreads.flatMap((spread) =>
      spread.accumulations.map((accumulation) => [accumulation, open(spread, accumulation)] as const),
    ),
  );
}

/** Takes in the current element: into variables that accumulate, or into the array, elements side by side together. */
function takeIn(builder: Builder, spread: Spread, running: Running, side: number): void {
  const { nest } = builder;
  for (const accumulation of spread.accumulations) {
    const { monoid, x } = accumulation;
    const variables = running.get(accumulation);
    if (!variables) {
      const first = loadFirst(builder, spread, accumulation);
      const parts = monoids[monoid].lift(nest.value(x), first, nest.local);
      const named = parts.map((part) => fold(accumulation, nest.local('part', part), side));
      addTo(builder, spread, accumulation, named);
      continue;
    }
    const { ids, first } = variables;
    const before = ids.map((id) => name(id, 'real'));
    const after = monoids[monoid].step(before, nest.value(x), first, nest.local);
    for (const [i, id] of ids.entries()) nest.push({ do: 'assign', name: id, value: after[i]! });
  }
}

function addRunning(builder: Builder, spread: Spread, running: Running): void {
  for (const accumulation of spread.accumulations) {
    const parts = running.get(accumulation)!.ids.map((id) => name(id, 'real'));
    addTo(builder, spread, accumulation, parts);
  }
}

/** The value of a name for elements side by side, together. */
function fold({ monoid }: Accumulation, value: Code, side: number): Code {
  if (value.code !== 'name' || side === 1) return value;
  return { code: 'fold', type: 'real', merge: monoids[monoid].lanes, name: value.name, copies: side };
}

function placesOf(builder: Builder, spread: Spread, accumulation: Accumulation): Code[] {
  const before = spread.accumulations.slice(0, spread.accumulations.indexOf(accumulation));
  const slot = before.flatMap(partsOf).length;
  return partsOf(accumulation).map((_, i) => placeOf(builder, spread, slot + i));
}

function addTo(builder: Builder, spread: Spread, accumulation: Accumulation, more: readonly Code[]): void {
  const { nest } = builder;
  const places = placesOf(builder, spread, accumulation);
  const before = places.map((place) => load(spread.array, place));
  const after = monoids[accumulation.monoid].join(before, more);
  for (const [i, place] of places.entries())
    nest.push({ do: 'store', array: spread.array, index: place, value: after[i]! });
}

/** Lets what follows use the results of a group, in the loop over what it keeps. */
export function defineSpread(builder: Builder, spread: Spread): void {
  const { nest } = builder;
  for (const accumulation of spread.accumulations) {
    const places = placesOf(builder, spread, accumulation);
    const parts = places.map((place) => nest.local('sum', load(spread.array, place)));
    define(builder, accumulation, parts, loadFirst(builder, spread, accumulation));
  }
}
