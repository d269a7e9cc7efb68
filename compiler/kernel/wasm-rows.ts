/** Reductions whose lanes run along the rows: each part has a kept index, or a block of one, to itself. */
import type { Accumulation } from '../schedule/stages.ts';
import type { AxisGroup } from './axis-groups.ts';
import { storeOutputs } from './body.ts';
import { binary, type Code, isVector, name, real, type Statement } from './kernel.ts';
import { isShifted } from './monoids.ts';
import {
  assignAll,
  copiesFor,
  foldedOf,
  keptAxes,
  mergeChunk,
  openRunning,
  openTotals,
  partialAt,
  type Reduction,
  realOf,
  reals,
  stateSlots,
  step,
} from './wasm-reduction.ts';
import {
  type Builder,
  forLoop,
  inLanes,
  laneLoop,
  partLoop,
  unflatten,
  unitLoop,
  unitsOf,
} from './wasm-routine.ts';

export function reduceRows(builder: Builder, reduction: Reduction): void {
  const { nest, tensors } = builder;
  const { group, kept, over, blocks, partials, stage } = reduction;
  const rowGroups = over.slice(0, -1);
  const lanes = over.at(-1)!;
  const copies = copiesFor(group);
  const units = unitsOf(builder, rowGroups, lanes);
  partLoop(builder, kept, blocks, (block) => {
    const totals = openTotals(builder, group);
    unitLoop(builder, units, block, blocks, ([row, lastRow], [left, right]) => {
      const firsts = group.accumulations.map((accumulation) =>
        isShifted(accumulation) ? firstOfRow(builder, accumulation, rowGroups, lanes, row, left) : real(0),
      );
      const running = openRunning(
        builder,
        group,
        copies,
        firsts.map((first) => widen(builder, first)),
      );
      forLoop(
        builder,
        rowGroups.flat(),
        row,
        lastRow,
        (at) => {
          unflatten(builder, at, rowGroups);
          laneLoop(builder, lanes, [left, right], copies, () => {
            step(builder, running);
            storeOutputs(nest, tensors, stage.riders);
          });
        },
        'row',
      );
      const elements = realOf(binary('*', binary('-', lastRow, row), binary('-', right, left)));
      for (const [k, one] of running.entries()) {
        const parts = foldedOf(builder, one, copies);
        const before = reals(totals[k]!);
        assignAll(
          builder,
          totals[k]!,
          mergeChunk(builder, one.accumulation, parts, elements, firsts[k]!, before),
        );
      }
    });
    const at = nest.flat(keptAxes(builder, reduction));
    for (const [k, { first }] of stateSlots(group).entries()) {
      for (const [i, id] of totals[k]!.entries()) {
        const slot = partialAt(builder, reduction, first + i, block, at);
        nest.push({ do: 'store', array: partials.name, index: slot, value: name(id, 'real') });
      }
    }
  });
}

/** The operand's value at the start of a unit, as a real that is exactly what the vectors hold. */
function firstOfRow(
  builder: Builder,
  { x }: Accumulation,
  rowGroups: readonly AxisGroup[],
  lanes: AxisGroup,
  row: Code,
  left: Code,
): Code {
  const { nest } = builder;
  let first: Code = real(0);
  const statements: Statement[] = nest.scope(rowGroups.flat(), () => {
    unflatten(builder, row, rowGroups);
    const inner = inLanes(builder, lanes, left, () => {
      const value = nest.value(x);
      first = nest.local('first', isVector(value) ? { code: 'first', type: 'real', x: value } : value);
    });
    nest.push(...inner);
  });
  nest.push(...statements);
  return first;
}

function widen({ nest, isVectored }: Builder, value: Code): Code {
  return isVectored && value.code !== 'number'
    ? nest.local('lanes', { code: 'splat', type: 'vector', x: value })
    : value;
}
