/**
 * Short rows walked as one: where the lanes' axes follow others in memory, some rows of a few columns each are one row
 * that fills vectors. What is the same in each row is repeated to its length before.
 */
import { invariant } from '../diagnostics.ts';
import type { Axes } from '../graph/axes.ts';
import type { Expr } from '../graph/expr.ts';
import type { AxisGroup } from './axis-groups.ts';
import { type Code, index, load } from './kernel.ts';
import type { Found } from './pack.ts';
import { operands, type Scalar } from './scalar-build.ts';
import { slotElements } from './wasm-reduction.ts';
import { type Builder, type Context, openOwn, place, sizeOf } from './wasm-routine.ts';

/** What can be walked with rows joined. */
export interface Joining {
  readonly rows: AxisGroup;
  readonly lanes: AxisGroup;
  /** What is found in arrays that hold one row alone. */
  readonly repeated: readonly Scalar[];
}

/**
 * Whether rows along the last of these groups but one can be joined to compute some expressions: nothing may vary from
 * row to row but not along the lanes. What is repeated must not vary along the axes `within` which rows are walked
 * either, and there is `room` for so many.
 */
export function joiningOf(
  { scalars, tensors, isVectored }: Context,
  exprs: readonly Expr[],
  groups: readonly AxisGroup[],
  found: Found,
  { within = [], room }: { readonly within?: Axes; readonly room: number },
): Joining | undefined {
  const [rows, lanes] = groups.slice(-2);
  if (!rows || !lanes || !isVectored) return undefined;
  const repeated: Scalar[] = [];
  const visited = new Set<Scalar>();
  /** Whether it is no obstacle. */
  const visit = (scalar: Scalar): boolean => {
    if (visited.has(scalar)) return true;
    visited.add(scalar);
    const axes =
      found(scalar)?.packing.kept ??
      (scalar.is === 'leaf' && scalar.expr.op === 'input' ? tensors.ofInput(scalar.expr).axes : undefined);
    if (!axes) return operands(scalar).every(visit);
    const varies = (group: Axes): boolean => group.some((axis) => axes.includes(axis));
    if (varies(rows)) return varies(lanes);
    if (varies(lanes)) repeated.push(scalar);
    return !varies(lanes) || !varies(within);
  };
  const isPossible = exprs.every((expr) => visit(scalars.of(expr))) && repeated.length <= room;
  return isPossible ? { rows, lanes, repeated } : undefined;
}

/** How many rows are walked as one, to have about so many elements. */
export const joinedRows = (builder: Builder, joining: Joining | undefined, wanted: number): Code =>
  joining
    ? builder.nest.local('each', {
        code: 'joined',
        type: 'index',
        a: sizeOf(builder, [joining.rows]),
        b: sizeOf(builder, [joining.lanes]),
        wanted,
      })
    : index(1);

/**
 * Repeats what has to be so many times, in slots of what the thread has to itself. The result is to be called in a loop
 * over lanes, with the position.
 */
export function openRepeated(
  builder: Builder,
  { lanes, repeated }: Joining,
  each: Code,
  slot: number,
): (position: Code) => void {
  const { nest, names } = builder;
  if (repeated.length === 0) return () => {};
  const own = openOwn(builder);
  const arrays = repeated.map((scalar, i) => {
    let source: Code | undefined;
    nest.scope(lanes, () => {
      place(builder, lanes, index(0));
      source = nest.read(scalar);
    });
    invariant(source?.code === 'load', 'what is repeated is not found in an array');
    const name = names.fresh('repeated');
    nest.push({
      do: 'repeat',
      name,
      array: source.array,
      at: source.index,
      width: sizeOf(builder, [lanes]),
      times: each,
      into: own,
      place: index((slot + i) * slotElements),
    });
    return { scalar, name, base: source.array };
  });
  return (position) => {
    for (const { scalar, name, base } of arrays)
      nest.give(scalar, base, () => load(name, position, 'vector'));
  };
}
