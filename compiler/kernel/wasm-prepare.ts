/** Values that many rows have in common, computed once and left in scratch, where what is mapped row by row finds them. */
import { type Axes, sameAxes } from '../graph/axes.ts';
import { binary, type Code, index, least } from './kernel.ts';
import { type Found, type Packing, packedIndex, packedLength } from './pack.ts';
import { operands, type Scalar } from './scalar-build.ts';
import type { Mapping } from './wasm-map.ts';
import { gap, tile } from './wasm-reduction.ts';
import { type Builder, type Context, forLoop, laneLoop, roundUp, sizeOf } from './wasm-routine.ts';

/**
 * The largest parts of a mapping's outputs that take computing and vary along the lanes alone, if there are any;
 * otherwise those that take long and vary along some kept axes alone, which many kept indices would compute again.
 */
export function preparedFor(
  { scalars, tensors, isVectored }: Context,
  { outputs, rows, kept, lanes }: Mapping,
  found: Found,
): Packing | undefined {
  if (lanes.length === 0 || rows.length + kept.length === 0) return undefined;
  const slotsAlong = (axes: Axes, isWorth: (scalar: Scalar) => boolean): Map<Scalar, number> => {
    const slots = new Map<Scalar, number>();
    const visited = new Set<Scalar>();
    const visit = (scalar: Scalar): void => {
      if (visited.has(scalar) || found(scalar)) return;
      visited.add(scalar);
      const isAlong = scalar.type !== 'bool' && sameAxes(scalar.axes, axes);
      if (isAlong && isWorth(scalar)) slots.set(scalar, slots.size);
      else operands(scalar).forEach(visit);
    };
    for (const { expr } of outputs) visit(scalars.of(expr));
    return slots;
  };
  const keptAlone = kept.length > 1 ? kept : [];
  const candidates = [
    [lanes, slotsAlong(lanes, isComputed)] as const,
    ...keptAlone.map((axes) => [axes, slotsAlong(axes, takesLong)] as const),
  ];
  const chosen = candidates.find(([, slots]) => slots.size > 0);
  if (!chosen) return undefined;
  const [axes, slots] = chosen;
  const length = packedLength(slots.size, gap, axes, tensors.size);
  // what is compared exactly must be the same here as where it is not prepared
  const dtype = isVectored ? undefined : 'f64';
  return { kept: axes, gap, slots, buffer: tensors.scratch('prepared', axes, length, dtype) };
}

const isComputed = (scalar: Scalar): boolean => operands(scalar).length > 0;

const long = new WeakMap<Scalar, boolean>();
function takesLong(scalar: Scalar): boolean {
  const known = long.get(scalar);
  if (known !== undefined) return known;
  const found = ['/', 'sqrt', 'rsqrt', 'call'].includes(scalar.is) || operands(scalar).some(takesLong);
  long.set(scalar, found);
  return found;
}

/** How many parts preparing has. */
export const prepareParts = (context: Context, { kept }: Packing): Code =>
  roundUp(sizeOf(context, [kept]), index(tile));

export function prepare(builder: Builder, packing: Packing): void {
  const { nest, tensors, begin, end } = builder;
  const lanes = packing.kept;
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
