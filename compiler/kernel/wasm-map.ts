/** Outputs computed element by element, with lanes along the innermost axis. */
import type { ProgramOutput } from '../schedule/program.ts';
import { type AxisGroup, buffersOf, collapse } from './axis-groups.ts';
import { storeOutputs } from './body.ts';
import { below, type Code, index } from './kernel.ts';
import {
  type Builder,
  type Context,
  forLoop,
  laneLoop,
  partLoop,
  sizeOf,
  unflatten,
  unitLoop,
  unitsOf,
} from './wasm-routine.ts';

/** Outputs over one space, cut at the kept indices of the reductions they follow, or at rows. */
export interface Mapping {
  readonly outputs: readonly ProgramOutput[];
  readonly kept: readonly AxisGroup[];
  readonly rows: readonly AxisGroup[];
  readonly lanes: AxisGroup;
}

/** One mapping a space. `outer` are the axes that the phase keeps; where there are none, rows are kept. */
export function mappingsOf(
  context: Context,
  outputs: readonly ProgramOutput[],
  outer: readonly string[],
): Mapping[] {
  const spaces = new Map<string, ProgramOutput[]>();
  for (const output of outputs) {
    const key = context.inOrder([...output.axes]).join(' ');
    spaces.set(key, [...(spaces.get(key) ?? []), output]);
  }
  return [...spaces.values()].map((members) => mappingOf(context, members, outer));
}

function mappingOf(context: Context, outputs: readonly ProgramOutput[], outer: readonly string[]): Mapping {
  const buffers = buffersOf(
    context,
    outputs.map(({ expr }) => expr),
    outputs,
  );
  const isOuter = (axis: string): boolean => outer.includes(axis);
  const axes = context.inOrder([...outputs[0]!.axes]);
  const groups = collapse(axes, buffers, (a, b) => isOuter(a) !== isOuter(b));
  const last = groups.at(-1);
  const hasLanes = last !== undefined && !isOuter(last[0]!);
  const lanes = hasLanes ? last : [];
  const others = hasLanes ? groups.slice(0, -1) : groups;
  // rows of no reduction are walked along one after the other, if that takes no division
  const isRow = (group: AxisGroup): boolean =>
    outer.length > 0 ? !isOuter(group[0]!) : hasLanes && others.length === 1;
  return { outputs, lanes, kept: others.filter((g) => !isRow(g)), rows: others.filter(isRow) };
}

export function mapElements(builder: Builder, mapping: Mapping, blocks: Code): void {
  const { nest, tensors } = builder;
  const { outputs, kept, rows, lanes } = mapping;
  if (lanes.length === 0) {
    partLoop(builder, kept, blocks, (block) => {
      // whole kept indices: the first of their blocks does it, since states must be updated once
      const store = (): void => storeOutputs(nest, tensors, outputs);
      const onRow = (at: Code): void => {
        unflatten(builder, at, rows);
        store();
      };
      const everyRow = (): void =>
        forLoop(builder, rows.flat(), index(0), sizeOf(builder, rows), onRow, 'row');
      const body = nest.scope([], rows.length === 0 ? store : everyRow, { pinned: true });
      nest.push({ do: 'if', test: below(block, index(1)), body });
    });
    return;
  }
  const units = unitsOf(builder, rows, lanes);
  partLoop(builder, kept, blocks, (block) => {
    unitLoop(builder, units, block, blocks, ([row, lastRow], piece) => {
      const onRow = (at: Code): void => {
        unflatten(builder, at, rows);
        laneLoop(builder, lanes, piece, 'by length', () => storeOutputs(nest, tensors, outputs));
      };
      if (rows.length === 0) onRow(index(0));
      else forLoop(builder, rows.flat(), row, lastRow, onRow, 'row');
    });
  });
}
