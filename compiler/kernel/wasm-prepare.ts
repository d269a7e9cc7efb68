/** Values that repeat along rows, computed once and left in scratch, where what is mapped row by row finds them. */
import { sameAxes } from '../graph/axes.ts';
import { binary, type Code, index, least } from './kernel.ts';
import { type Found, type Packing, packedIndex, packedLength } from './pack.ts';
import { operands, type Scalar } from './scalar.ts';
import type { Mapping } from './wasm-map.ts';
import { gap, tile } from './wasm-reduction.ts';
import { type Builder, type Context, forLoop, laneLoop, roundUp, sizeOf } from './wasm-routine.ts';

/** The largest parts of a mapping's outputs that vary along the lanes alone and take computing, if there are any. */
export function preparedFor(
  { scalars, tensors, isVectored }: Context,
  { outputs, rows, kept, lanes }: Mapping,
  found: Found,
): Packing | undefined {
  if (lanes.length === 0 || rows.length + kept.length === 0) return undefined;
  const slots = new Map<Scalar, number>();
  const visited = new Set<Scalar>();
  const visit = (scalar: Scalar): void => {
    if (visited.has(scalar) || found(scalar)) return;
    visited.add(scalar);
    const isColumn = scalar.type !== 'bool' && sameAxes(scalar.axes, lanes);
    if (isColumn && operands(scalar).length > 0) slots.set(scalar, slots.size);
    else operands(scalar).forEach(visit);
  };
  for (const { expr } of outputs) visit(scalars.of(expr));
  if (slots.size === 0) return undefined;
  const length = packedLength(slots.size, gap, lanes, tensors.size);
  // what is compared exactly must be the same here as where it is not prepared
  const dtype = isVectored ? undefined : 'f64';
  return { kept: lanes, gap, slots, buffer: tensors.scratch('prepared', lanes, length, dtype) };
}

/** How many parts preparing has. */
export const prepareParts = (context: Context, { lanes }: Mapping): Code =>
  roundUp(sizeOf(context, [lanes]), index(tile));

export function prepare(builder: Builder, { lanes }: Mapping, packing: Packing): void {
  const { nest, tensors, begin, end } = builder;
  const onPart = (part: Code): void => {
    const left = nest.local('left', binary('*', part, index(tile)));
    const right = nest.local('right', least(binary('+', left, index(tile)), sizeOf(builder, [lanes])));
    laneLoop(builder, lanes, [left, right], 1, () => {
      for (const [scalar, slot] of packing.slots) {
        const at = packedIndex(packing, slot, nest.flat(packing.kept), tensors.size);
        nest.push({ do: 'store', array: packing.buffer.name, index: at, value: nest.scalar(scalar) });
      }
    });
  };
  forLoop(builder, [], begin, end, onPart, 'part');
}
