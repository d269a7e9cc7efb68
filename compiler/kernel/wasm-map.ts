/** Outputs computed element by element, with lanes along the innermost axis. */
import { type Expr, topological } from '../graph/expr.ts';
import type { ProgramOutput } from '../schedule/program.ts';
import { storeOutputs } from './body.ts';
import { below, binary, type Code, index, least } from './kernel.ts';
import {
  type AxisGroup,
  type Builder,
  buffersOf,
  type Context,
  collapse,
  forLoop,
  laneLoop,
  partLoop,
  roundUp,
  type Settle,
  sizeOf,
  type Units,
  unflatten,
  unitLoop,
  unitsOf,
} from './wasm-routine.ts';

/** Vectors computed side by side in one turn of the loop. */
const copies = 2;

/** Outputs over one space, cut at the kept indices of the reductions they follow, or at rows. */
export interface Mapping {
  readonly outputs: readonly ProgramOutput[];
  readonly kept: readonly AxisGroup[];
  readonly rows: readonly AxisGroup[];
  readonly lanes: AxisGroup;
  /** What is dear to compute repeats along rows: it is computed once for many rows, a few columns at a time. */
  readonly isColumns: boolean;
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
  const isKept = (group: AxisGroup): boolean => outer.length === 0 || isOuter(group[0]!);
  const isColumn = (e: Expr): boolean =>
    e.axes.includes(lanes.at(-1)!) && others.some(([axis]) => !e.axes.includes(axis!));
  const nodes = topological(outputs.map(({ expr }) => expr));
  const isColumns = hasLanes && outer.length === 0 && nodes.some((node) => isDear(node, isColumn));
  return {
    outputs,
    lanes,
    kept: others.filter(isKept),
    rows: others.filter((g) => !isKept(g)),
    isColumns,
  };
}

/** Whether a node has a part, chosen by `isPart`, that takes more than adding and multiplying. */
function isDear(node: Expr, isPart: (e: Expr) => boolean): boolean {
  if (node.op === 'call' || node.op === 'select') return isPart(node);
  return node.op === 'mul' && node.factors.some(([f, p]) => isPart(f) && (p.s < 0n || p.d !== 1n));
}

/** Rows and columns of a part, and columns side by side in registers. */
const rowChunk = 128;
const tile = 1024;
const columnCopies = 4;

const tilesOf = (context: Context, { lanes }: Mapping): Code =>
  roundUp(sizeOf(context, [lanes]), index(tile));

/** How many parts a mapping by columns has. */
export const columnMapParts = (context: Context, mapping: Mapping): Code =>
  binary('*', roundUp(sizeOf(context, mapping.kept), index(rowChunk)), tilesOf(context, mapping));

export function mapColumns(builder: Builder, mapping: Mapping): void {
  const { nest, tensors, begin, end } = builder;
  const { outputs, kept, lanes } = mapping;
  const tiles = nest.local('tiles', tilesOf(builder, mapping));
  const onPart = (part: Code): void => {
    const row = nest.local('row', binary('*', binary('/', part, tiles), index(rowChunk)));
    const lastRow = least(binary('+', row, index(rowChunk)), sizeOf(builder, kept));
    const last = nest.local('last_row', lastRow);
    const left = nest.local('left', binary('*', binary('%', part, tiles), index(tile)));
    const right = nest.local('right', least(binary('+', left, index(tile)), sizeOf(builder, [lanes])));
    laneLoop(builder, lanes, [left, right], columnCopies, () => {
      const onRow = (at: Code): void => {
        unflatten(builder, at, kept);
        storeOutputs(nest, tensors, outputs);
      };
      forLoop(builder, kept.flat(), row, last, onRow, 'row');
    });
  };
  forLoop(builder, [], begin, end, onPart, 'part');
}

export const mapUnits = (context: Context, { rows, lanes }: Mapping, settle: Settle): Units =>
  unitsOf(context, rows, lanes, settle);

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
  const units = mapUnits(builder, mapping, nest.local);
  partLoop(builder, kept, blocks, (block) => {
    unitLoop(builder, units, block, blocks, ([row, lastRow], piece) => {
      const onRow = (at: Code): void => {
        unflatten(builder, at, rows);
        laneLoop(builder, lanes, piece, copies, () => storeOutputs(nest, tensors, outputs));
      };
      if (rows.length === 0) onRow(index(0));
      else forLoop(builder, rows.flat(), row, lastRow, onRow, 'row');
    });
  });
}
