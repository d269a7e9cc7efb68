/** Outputs computed element by element on the CPU: row by row, or some rows of a few columns at a time. */
import { isStrictSubset } from '../graph/axes.ts';
import type { ProgramOutput } from '../schedule/program.ts';
import { type AxisGroup, buffersOf, collapse } from './axis-groups.ts';
import { storeOutputs } from './body.ts';
import { columnLoops } from './cpu-columns.ts';
import { type Builder, lanes, loops, oneAtATime, outlined } from './cpu-loops.ts';
import { bySpace } from './tensors.ts';

/** Outputs by the space they fill. `outer` are the axes of the loops around. */
export function mapElements(
  builder: Builder,
  outputs: readonly ProgramOutput[],
  outer: readonly string[],
): void {
  const spaces = bySpace(outputs, builder.tensors);
  for (const members of spaces) {
    const isSmall = spaces.some((others) => isStrictSubset(members[0]!.axes, others[0]!.axes));
    // what takes no time is kept short
    mapSpace(isSmall ? { ...builder, sides: oneAtATime } : builder, members, outer);
  }
}

function mapSpace(builder: Builder, outputs: readonly ProgramOutput[], outer: readonly string[]): void {
  const { nest, tensors, inOrder } = builder;
  const store = (): void => storeOutputs(nest, tensors, outputs);
  const buffers = buffersOf(
    builder,
    outputs.map(({ expr }) => expr),
    outputs,
  );
  const axes = inOrder([...outputs[0]!.axes]).filter((axis) => !outer.includes(axis));
  const groups = collapse(axes, buffers);
  const line = groups.at(-1);
  if (!line) {
    store();
    return;
  }
  const rows = groups.slice(0, -1);
  const inner = rows.at(-1);
  if (inner && repeats(buffers, line, inner) > repeats(buffers, inner, line)) {
    const place = { rows: inner, outer: rows.slice(0, -1), line, side: builder.sides.maps };
    columnLoops(builder, place, 'map_columns', (eachRow) => eachRow(store));
  } else if (outer.length > 0) {
    outlined(builder, 'map', () =>
      loops(builder, rows, () => lanes(builder, line, builder.sides.rows, store)),
    );
  } else {
    // what is the same along a line is computed outside, once
    loops(builder, rows, () =>
      outlined(builder, 'map', () => lanes(builder, line, builder.sides.rows, store)),
    );
  }
}

/** How many buffers vary along one group of axes and repeat along another. */
const repeats = (buffers: readonly (readonly string[])[], along: AxisGroup, other: AxisGroup): number =>
  buffers.filter((axes) => axes.includes(along[0]!) && !axes.includes(other[0]!)).length;
