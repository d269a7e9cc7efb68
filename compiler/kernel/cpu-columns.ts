/**
 * Loops over lines whose elements belong to different kept indices, as where channels are last: some rows are taken
 * for a few columns at a time. What is the same all along a column is computed before, into one array of factors.
 */

import type { AxisGroup } from './axis-groups.ts';
import { type Builder, chunks, lanes, loop, loops, sizeOf } from './cpu-loops.ts';
import { binary, type Code, index, load, type Statement, times } from './kernel.ts';
import type { Scalar } from './scalar-build.ts';

/** Finds what a column has in common among factors, each over the columns. */
export interface Factors {
  /** A value of every column by a key: `compute` yields it in a loop over columns. */
  readonly find: (key: unknown, compute: () => Code) => Code;
}

export interface ColumnLoops {
  /** The rows that columns are taken along, and the loops around. */
  readonly rows: AxisGroup;
  readonly outer: readonly AxisGroup[];
  readonly line: AxisGroup;
  readonly side: number;
}

/** `tile` is called for some columns, with a function that runs its argument for each of some rows. */
export function columnLoops(
  builder: Builder,
  { rows, outer, line, side }: ColumnLoops,
  id: string,
  tile: (eachRow: (body: () => void) => void, factors: Factors) => void,
): void {
  const { nest, names, inOrder, tensors } = builder;
  const slots = new Map<unknown, () => Code>();
  const array = names.fresh('factors');
  const kept = [...outer, line];
  const axes = inOrder(kept.flat());
  const size = times(...axes.map(tensors.size));
  const placeOf = (slot: number): Code => binary('+', times(index(slot), size), nest.flat(axes));
  const find: Factors['find'] = (key, compute) => {
    if (!slots.has(key)) slots.set(key, compute);
    return load(array, placeOf([...slots.keys()].indexOf(key)));
  };
  const found = (scalar: Scalar): Code | undefined => {
    const isColumn = scalar.axes.includes(line[0]!) && scalar.axes.every((axis) => axes.includes(axis));
    if (!isColumn || scalar.type !== 'real' || isSaved(scalar)) return undefined;
    return find(scalar, () => nest.scalar(scalar));
  };
  const body: readonly Statement[] = nest.scope([], () => {
    const before = builder.found.current;
    builder.found.current = found;
    loops(builder, outer, () =>
      chunks(builder, rows, (range) =>
        lanes(builder, line, side, () => tile((row) => loop(builder, rows, range, row), { find })),
      ),
    );
    builder.found.current = before;
  });
  if (slots.size > 0) {
    nest.push({ do: 'array', name: array, length: times(index(slots.size), sizeOf(builder, kept)), fill: 0 });
    loops(builder, kept, () => {
      for (const [slot, compute] of [...slots.values()].entries()) {
        const value = compute();
        nest.push({ do: 'store', array, index: placeOf(slot), value });
      }
    });
  }
  nest.push({ do: 'outlined', name: id, body });
}

/** What callers always pass, and no kernel has to look for. */
const isSaved = (scalar: Scalar): boolean =>
  scalar.is === 'leaf' && scalar.expr.op === 'input' && scalar.expr.role === 'saved';
