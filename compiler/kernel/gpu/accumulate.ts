/** Accumulators of one lane, and how it takes elements in. */
import type { Accumulation, Group } from '../../schedule/stages.ts';
import { openVariable } from '../body.ts';
import { asVector, binary, type Code, ceilDiv, index, isVector, least, name, real } from '../kernel.ts';
import { monoids } from '../monoids.ts';
import { type Builder, forLoop, locate, openWalk, type Positions, type Walk, walk } from './build.ts';
import { merged, stateOf, type Total, type Totals, totalsOf } from './state.ts';

/** Elements a lane takes in before it merges them into its total. */
const chunk = 256;

/** Local variables that hold the running parts of one accumulation. */
interface Running {
  readonly accumulation: Accumulation;
  readonly parts: readonly Code[];
}

const nameOf = (part: Code): string => (part as Extract<Code, { code: 'name' }>).name;

export function openTotals({ nest, names }: Builder, group: Group, isAcross: boolean): Totals {
  const totals = totalsOf(names.fresh('total'), group.accumulations, isAcross);
  nest.push({ do: 'var', name: nameOf(totals.value), value: totals.identity });
  return totals;
}

function assign({ nest }: Builder, { value }: Pick<Total, 'value'>, next: Code): void {
  nest.push({ do: 'assign', name: nameOf(value), value: next });
}

/** Takes one more state into the total. */
export const mergeInto = (builder: Builder, total: Total, state: Code): void =>
  assign(builder, total, merged(total, state, builder.nest.local));

/**
 * One lane's elements, taken in by chunks that are merged into the totals: rounding grows with the chunk and the number
 * of chunks, not with the number of elements.
 */
export function accumulateChunks(
  builder: Builder,
  totals: readonly Total[],
  elements: Walk,
  from: Code,
  limit: Code,
  isAcross: boolean,
  each: () => void,
): void {
  const { nest, vector } = builder;
  const { step } = elements;
  const isWide = vector !== undefined;
  const length = nest.local('length', binary('*', step, index(chunk)));
  forLoop(builder, [], from, limit, length, (start) => {
    const end = nest.local('end', least(binary('+', start, length), limit));
    const at = openWalk(builder, elements, start);
    const firsts = totals.map(({ accumulation }) =>
      monoids[accumulation.monoid].isShifted
        ? firstOf(builder, accumulation, elements, start, at, isAcross)
        : real(0),
    );
    const running = totals.map(({ accumulation }): Running => {
      const values = monoids[accumulation.monoid].running.map(real);
      const parts = values.map((value) => openVariable(builder, 'sum', isWide ? asVector(value) : value));
      return { accumulation, parts };
    });
    walk(builder, elements, start, end, at, () => {
      for (const [k, { accumulation, parts }] of running.entries()) {
        const value = nest.value(accumulation.x);
        const taken = isWide ? asVector(value) : value;
        const stepped = monoids[accumulation.monoid].step(parts, taken, firsts[k]!, nest.local);
        for (const [i, part] of parts.entries())
          nest.push({ do: 'assign', name: nameOf(part), value: stepped[i]! });
      }
      each();
    });
    const steps = ceilDiv(binary('-', end, start), step);
    const count = isWide && !isAcross ? binary('*', steps, name('many', 'index')) : steps;
    const taken = nest.local('taken', { code: 'real', type: 'real', x: count });
    for (const [k, { accumulation, parts }] of running.entries()) {
      const { state, lanes } = monoids[accumulation.monoid];
      const folded = parts.map((part): Code => {
        if (!isWide || isAcross) return part;
        const one: Code = { code: 'fold', type: 'real', merge: lanes, name: nameOf(part), copies: 1 };
        return parts.length > 1 ? nest.local('folded', one) : one;
      });
      const total = totals[k]!;
      mergeInto(builder, total, stateOf(total, state(folded, taken, firsts[k]!, nest.local)));
    }
  });
}

/** The operand at one of the elements it is reduced over: the shift of its moments. */
function firstOf(
  builder: Builder,
  { x }: Accumulation,
  elements: Walk,
  position: Code,
  at: Positions,
  isAcross: boolean,
): Code {
  const { nest } = builder;
  let first: Code = real(0);
  const statements = nest.scope(elements.axes, () => {
    locate(builder, elements, position, at);
    const value = nest.value(x);
    const one: Code = isVector(value) && !isAcross ? { code: 'first', type: 'real', x: value } : value;
    first = nest.local('first', one);
  });
  nest.push(...statements);
  return first;
}
