/** Outputs computed element by element, with lanes along the innermost axis. */
import type { ProgramOutput } from '../schedule/program.ts';
import { type AxisGroup, buffersOf, collapse } from './axis-groups.ts';
import { storeOutputs } from './body.ts';
import { below, binary, type Code, index, least, times } from './kernel.ts';
import type { Found } from './pack.ts';
import { bySpace } from './tensors.ts';
import { cutApart, rowLoop } from './wasm-abreast.ts';
import { type Joining, joinedRows, joiningOf, openRepeated } from './wasm-join.ts';
import { ownSlots } from './wasm-reduction.ts';
import {
  type Builder,
  type Context,
  forLoop,
  laneLoop,
  partLoop,
  sizeOf,
  stripLoop,
  unflatten,
  unitLoop,
  unitsOf,
  vectorLanes,
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
  if (mapping.lanes.length === 0) {
    mapKept(builder, mapping, blocks);
    return;
  }
  const { kept, rows, lanes, joining } = mapping;
  const each = joinedRows(builder, joining, wanted);
  const isAbreast = joining !== undefined && joining.repeated.length > 1;
  const units = unitsOf(builder, rows, lanes, each, isAbreast ? blocks : undefined);
  const onBlocks = (block: Code, nextBlock?: Code): void => {
    const give = joining ? openRepeated(builder, joining, each, 0) : () => {};
    const walk: Walk = { builder, mapping, each, give };
    const onUnit = isAbreast ? walkAbreast : walkInTurn;
    unitLoop(builder, units, block, blocks, (...range) => onUnit(walk, ...range), nextBlock);
  };
  // without kept indices, neighbouring parts are neighbouring blocks
  if (kept.length === 0) onBlocks(builder.begin, builder.end);
  else if (rows.length === 0 || joining) partLoop(builder, kept, blocks, (block) => onBlocks(block));
  else {
    const walk: Walk = { builder, mapping, each, give: () => {} };
    stripLoop(builder, kept, units, blocks, (...range) => walkInTurn(walk, ...range));
  }
}

/** Outputs that have no more axes than what is kept, or rows of one element. */
function mapKept(builder: Builder, { outputs, kept, rows }: Mapping, blocks: Code): void {
  const { nest, tensors } = builder;
  const store = (): void => storeOutputs(nest, tensors, outputs);
  const onRow = (at: Code): void => {
    unflatten(builder, at, rows);
    store();
  };
  const everyRow = (): void => forLoop(builder, rows.flat(), index(0), sizeOf(builder, rows), onRow, 'row');
  partLoop(builder, kept, blocks, (block) => {
    // whole kept indices: the first of their blocks does it, since states must be updated once
    const body = nest.scope([], rows.length === 0 ? store : everyRow, { pinned: true });
    nest.push({ do: 'if', test: below(block, index(1)), body });
  });
}

/** How the rows of a mapping are walked: so many as one, where what is the same in each of them is given again. */
interface Walk {
  readonly builder: Builder;
  readonly mapping: Mapping;
  readonly each: Code;
  readonly give: (position: Code) => void;
}

type OnUnit = (walk: Walk, rows: readonly [Code, Code], piece: readonly [Code, Code]) => void;

const walkInTurn: OnUnit = (walk, [row, lastRow], [left, right]) => {
  const { builder, mapping } = walk;
  const { rows, joining } = mapping;
  const store = (): void => storeOutputs(builder.nest, builder.tensors, mapping.outputs);
  if (rows.length === 0) return overLanes(walk, [left, right], store);
  const onRow = (at: Code): void => {
    const first = goTo(walk, at);
    overLanes(walk, [left, joining ? endOf(walk, first, right) : right], store);
  };
  forLoop(builder, rows.flat(), row, lastRow, onRow, 'row');
};

/** Rows far apart, all of a unit: what is the same in each is loaded once, and they come from memory side by side. */
const walkAbreast: OnUnit = (walk, [row, lastRow], [left, right]) => {
  const { builder, mapping, each } = walk;
  const { rows, lanes, outputs } = mapping;
  // the last of rows that are joined may be shorter
  const whole = least(lastRow, binary('/', sizeOf(builder, rows), each));
  const holdsVector = below(index(vectorLanes - 1), times(sizeOf(builder, [lanes]), each));
  const span = cutApart(builder, [row, whole], index(1), holdsVector);
  const range = { ...span, below: lastRow, axes: rows.flat(), step: index(1), neighbours: 1 };
  rowLoop(builder, range, (eachRow, at) => {
    const end = endOf(walk, times(at, each), right);
    overLanes(walk, [left, end], () =>
      eachRow((one) => {
        goTo(walk, one);
        storeOutputs(builder.nest, builder.tensors, outputs);
      }),
    );
  });
};

function overLanes({ builder, mapping, give }: Walk, piece: readonly [Code, Code], body: () => void): void {
  laneLoop(builder, mapping.lanes, piece, 'by length', (position) => {
    give(position);
    body();
  });
}

/** Says where a row is, or the first of those that are walked as one, which it hands back. */
function goTo({ builder, mapping, each }: Walk, row: Code): Code {
  const first = builder.nest.local('first_row', times(row, each));
  unflatten(builder, first, mapping.rows);
  return first;
}

/** The end of joined rows from this one on: the last of them may be shorter. */
function endOf({ builder, mapping: { rows, lanes } }: Walk, first: Code, right: Code): Code {
  const left = binary('-', sizeOf(builder, rows), first);
  return builder.nest.local('end', least(right, times(left, sizeOf(builder, [lanes]))));
}
