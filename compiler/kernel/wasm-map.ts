/** Outputs computed element by element, with lanes along the innermost axis. */
import type { ProgramOutput } from '../schedule/program.ts';
import { type AxisGroup, buffersOf, collapse } from './axis-groups.ts';
import { storeOutputs } from './body.ts';
import { below, binary, type Code, index, least, times } from './kernel.ts';
import type { Found } from './pack.ts';
import { bySpace } from './tensors.ts';
import { type Joining, joinedRows, joiningOf, openRepeated } from './wasm-join.ts';
import { ownSlots } from './wasm-reduction.ts';
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

/** Elements of rows that are walked as one. */
const wanted = 256;
/** How many values there is room to repeat. */
const room = ownSlots;

/** Outputs over one space, cut at the kept indices of the reductions they follow, or at rows. */
export interface Mapping {
  readonly outputs: readonly ProgramOutput[];
  readonly kept: readonly AxisGroup[];
  readonly rows: readonly AxisGroup[];
  readonly lanes: AxisGroup;
  /** How its rows can be joined. */
  readonly joining?: Joining | undefined;
}

/** One mapping a space. `outer` are the axes that the phase keeps; where there are none, rows are kept. */
export function mappingsOf(
  context: Context,
  outputs: readonly ProgramOutput[],
  outer: readonly string[],
  found: Found,
): Mapping[] {
  return bySpace(outputs, context.tensors).map((members) => mappingOf(context, members, outer, found));
}

function mappingOf(
  context: Context,
  outputs: readonly ProgramOutput[],
  outer: readonly string[],
  found: Found,
): Mapping {
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
  const exprs = outputs.map(({ expr }) => expr);
  const joining = outer.length === 0 ? joiningOf(context, exprs, groups, found, { room }) : undefined;
  // rows of no reduction are walked along one after the other, if that takes no division
  const isRow = (group: AxisGroup): boolean =>
    outer.length > 0
      ? !isOuter(group[0]!)
      : hasLanes && (others.length === 1 || (joining !== undefined && group === others.at(-1)));
  return { outputs, lanes, kept: others.filter((g) => !isRow(g)), rows: others.filter(isRow), joining };
}

/** The mapping with what has to be repeated where rows are joined, which depends on what it finds. */
export function joinMapping(context: Context, mapping: Mapping, found: Found): Mapping {
  const { outputs, kept, rows, lanes, joining } = mapping;
  if (!joining) return mapping;
  const exprs = outputs.map(({ expr }) => expr);
  return { ...mapping, joining: joiningOf(context, exprs, [...kept, ...rows, lanes], found, { room }) };
}

export function mapElements(builder: Builder, mapping: Mapping, blocks: Code): void {
  const { nest, tensors } = builder;
  const { outputs, kept, rows, lanes, joining } = mapping;
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
  const each = joinedRows(builder, joining, wanted);
  const units = unitsOf(builder, rows, lanes, each);
  const onBlocks = (block: Code, nextBlock?: Code): void => {
    const give = joining ? openRepeated(builder, joining, each, 0) : () => {};
    const onUnit: Parameters<typeof unitLoop>[4] = ([row, lastRow], [left, right]) => {
      const onRow = (at: Code): void => {
        const first = nest.local('first_row', times(at, each));
        unflatten(builder, first, rows);
        const end = joining ? rightOf(first, right) : right;
        laneLoop(builder, lanes, [left, end], 'by length', (position) => {
          give(position);
          storeOutputs(nest, tensors, outputs);
        });
      };
      if (rows.length === 0) onRow(index(0));
      else forLoop(builder, rows.flat(), row, lastRow, onRow, 'row');
    };
    unitLoop(builder, units, block, blocks, onUnit, nextBlock);
  };
  // without kept indices, neighbouring parts are neighbouring blocks
  if (kept.length === 0) onBlocks(builder.begin, builder.end);
  else partLoop(builder, kept, blocks, (block) => onBlocks(block));
  /** The end of a joined row, which may be the last and shorter. */
  function rightOf(first: Code, right: Code): Code {
    const left = binary('-', sizeOf(builder, rows), first);
    return nest.local('end', least(right, times(left, sizeOf(builder, [lanes]))));
  }
}
