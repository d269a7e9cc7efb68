/** Accumulators of one lane, and how it takes elements in. */
import type { Accumulation, Group } from '../../schedule/stages.ts';
import { binary, type Code, ceilDiv, index, name, real } from '../kernel.ts';
import { monoids } from '../monoids.ts';
import { type Builder, forLoop, stridesOf, unflatten, walk } from './build.ts';

/** Elements a lane takes in before it merges them into its total. */
const chunk = 64;

/** Local variables that hold the parts or the state of one accumulation. */
export interface Variables {
  readonly accumulation: Accumulation;
  readonly names: readonly string[];
}

export const valuesOf = ({ names }: Variables): Code[] => names.map((id) => name(id, 'real'));

export function openVariables(
  { nest, names }: Builder,
  base: string,
  accumulation: Accumulation,
  values: readonly Code[],
): Variables {
  const ids = values.map((value) => {
    const id = names.fresh(base);
    nest.push({ do: 'var', name: id, value });
    return id;
  });
  return { accumulation, names: ids };
}

export const openTotals = (builder: Builder, group: Group): Variables[] =>
  group.accumulations.map((accumulation) =>
    openVariables(builder, 'total', accumulation, monoids[accumulation.monoid].identity.map(real)),
  );

export function assign({ nest }: Builder, { names }: Variables, values: readonly Code[]): void {
  const settled = names.length > 1 ? values.map((value) => nest.local('next', value)) : values;
  for (const [i, id] of names.entries()) nest.push({ do: 'assign', name: id, value: settled[i]! });
}

export function accumulate(builder: Builder, running: readonly Variables[], firsts: readonly Code[]): void {
  const { nest } = builder;
  for (const [k, variables] of running.entries()) {
    const { monoid, x } = variables.accumulation;
    const stepped = monoids[monoid].step(valuesOf(variables), nest.value(x), firsts[k]!, nest.local);
    for (const [i, id] of variables.names.entries())
      nest.push({ do: 'assign', name: id, value: stepped[i]! });
  }
}

/**
 * One lane's elements, `step` apart, taken in by chunks that are merged into the totals: rounding grows with the
 * chunk and the number of chunks, not with the number of elements.
 */
export function accumulateChunks(
  builder: Builder,
  totals: readonly Variables[],
  axes: readonly string[],
  from: Code,
  limit: Code,
  step: Code,
  each: () => void,
): void {
  const { nest } = builder;
  const length = nest.local('length', binary('*', step, index(chunk)));
  const strides = stridesOf(builder, axes, step);
  forLoop(builder, [], from, limit, length, (start) => {
    const past = binary('+', start, length);
    const end = nest.local('end', { code: 'least', type: 'index', a: past, b: limit });
    const firsts = totals.map(({ accumulation }) =>
      monoids[accumulation.monoid].isShifted ? firstOf(builder, accumulation, axes, start) : real(0),
    );
    const running = totals.map(({ accumulation }) =>
      openVariables(builder, 'sum', accumulation, monoids[accumulation.monoid].running.map(real)),
    );
    walk(builder, axes, { start, end, step, strides }, () => {
      accumulate(builder, running, firsts);
      each();
    });
    const elements: Code = { code: 'real', type: 'real', x: ceilDiv(binary('-', end, start), step) };
    for (const [k, variables] of running.entries()) {
      const { state, merge } = monoids[variables.accumulation.monoid];
      const taken = state(valuesOf(variables), elements, firsts[k]!, nest.local);
      const settled = taken.length > 1 ? taken.map((value) => nest.local('taken', value)) : taken;
      assign(builder, totals[k]!, merge(valuesOf(totals[k]!), settled, nest.local));
    }
  });
}

/** The operand at one of the elements it is reduced over: the shift of its moments. */
export function firstOf(
  builder: Builder,
  { x }: Accumulation,
  axes: readonly string[],
  position: Code,
): Code {
  let first: Code = real(0);
  const statements = builder.nest.scope(axes, () => {
    unflatten(builder, position, axes);
    first = builder.nest.local('first', builder.nest.value(x));
  });
  builder.nest.push(...statements);
  return first;
}
