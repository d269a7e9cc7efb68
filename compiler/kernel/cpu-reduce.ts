/** Reductions on the CPU: for one kept index at a time, or where what is kept is innermost, for all in one pass. */
import type { Accumulation, Group, ReduceStage } from '../schedule/stages.ts';
import { buffersOf, collapse, elementsOf } from './axis-groups.ts';
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
  /** Where the first elements are that moments are taken about. */
  readonly firsts: string;
}

type Running = ReadonlyMap<Accumulation, readonly string[]>;

/**
 * Reduces in one pass over memory. Of groups that keep the innermost axes, a few columns are in registers while some
 * rows are taken in; of the others, each row adds up what these columns contribute.
 */
export function reduceSpread(builder: Builder, stage: ReduceStage): Spread[] {
  const { nest, tensors, inOrder } = builder;
  const isOver = (group: Group, axis: string): boolean => group.over.includes(axis);
  const isApart = (a: string, b: string): boolean =>
    stage.groups.some((group) => isOver(group, a) !== isOver(group, b));
  const space = inOrder(stage.space);
  const axes = collapse(space, buffersOf(builder, expressionsOf(stage), stage.riders), isApart);
  const line = axes.at(-1)!;
  const rows = axes.slice(0, -1);
  const spreads = stage.groups.map((group) => openSpread(builder, group));
  const isColumn = ({ group }: Spread): boolean => !isOver(group, line[0]!);
  const columns = spreads.filter(isColumn);
  const side = (columns.length > 0 && builder.sides.columns) || builder.sides.rows;
  const onElement = (running: Running): void => {
    for (const spread of spreads) takeIn(builder, spread, running, isColumn(spread) ? 1 : side);
    storeOutputs(nest, tensors, stage.riders);
  };
  const inner = rows.at(-1);
  if (
    builder.sides.columns > 0 &&
    inner &&
    columns.length > 0 &&
    columns.every(({ group }) => isOver(group, inner[0]!))
  ) {
    const place = { rows: inner, outer: rows.slice(0, -1), line, side };
    columnLoops(builder, place, 'reduce_columns', (eachRow) => {
      const running = openRunning(builder, columns);
      eachRow(() => onElement(running));
      for (const spread of columns) addRunning(builder, spread, running);
    });
    return spreads;
  }
  outlined(builder, 'reduce_lines', () =>
    loops(builder, rows, () => {
      const alongLine = spreads.filter((spread) => !isColumn(spread));
      const running = openRunning(builder, alongLine);
      lanes(builder, line, side, () => onElement(running));
      for (const spread of alongLine) addRunning(builder, spread, running);
    }),
  );
  return spreads;
}

function openSpread(builder: Builder, group: Group): Spread {
  const { nest, names, inOrder } = builder;
  const accumulations = sorted(group);
  const identities = accumulations.flatMap(partsOf);
  const array = names.fresh('sums');
  const size = elementsOf(builder, group.kept);
  const fill = identities.every((identity) => identity === identities[0]) ? identities[0]! : 0;
  nest.push({ do: 'array', name: array, length: times(index(identities.length), size), fill });
  const firsts = names.fresh('firsts');
  const shifted = accumulations.filter(isShifted);
  if (shifted.length > 0)
    nest.push({ do: 'array', name: firsts, length: times(index(shifted.length), size), fill: 0 });
  const spread: Spread = { group, accumulations, array, firsts };
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

function loadFirst(builder: Builder, spread: Spread, accumulation: Accumulation): Code {
  if (!isShifted(accumulation)) return real(0);
  const k = spread.accumulations.filter(isShifted).indexOf(accumulation);
  return builder.nest.local('first', load(spread.firsts, placeOf(builder, spread, k)));
}

function openRunning({ nest, names }: Builder, spreads: readonly Spread[]): Running {
  const accumulations = spreads.flatMap((spread) => spread.accumulations);
  return new Map(
    accumulations.map((accumulation) => {
      const ids = partsOf(accumulation).map((identity) => {
        const id = names.fresh('sum');
        nest.push({ do: 'accumulator', name: id, copies: 1, identity });
        return id;
      });
      return [accumulation, ids];
    }),
  );
}

/** Takes in the current element: into variables that accumulate, or into the array, elements side by side together. */
function takeIn(builder: Builder, spread: Spread, running: Running, side: number): void {
  const { nest } = builder;
  for (const accumulation of spread.accumulations) {
    const { monoid, x } = accumulation;
    const first = loadFirst(builder, spread, accumulation);
    const ids = running.get(accumulation);
    if (!ids) {
      const parts = monoids[monoid].lift(nest.value(x), first, nest.local);
      const named = parts.map((part) => fold(accumulation, nest.local('part', part), side));
      addTo(builder, spread, accumulation, named);
      continue;
    }
    const before = ids.map((id) => name(id, 'real'));
    const after = monoids[monoid].step(before, nest.value(x), first, nest.local);
    for (const [i, id] of ids.entries()) nest.push({ do: 'assign', name: id, value: after[i]! });
  }
}

function addRunning(builder: Builder, spread: Spread, running: Running): void {
  for (const accumulation of spread.accumulations) {
    const parts = running.get(accumulation)!.map((id) => name(id, 'real'));
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
