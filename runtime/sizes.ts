/** Infers axis sizes from the shapes of tensors, and shapes from axis sizes. */
import type { DimensionDescription } from './description.ts';
import { fail } from './error.ts';
import { product } from './tensor.ts';

/** What is known of an axis: its size, for a fold its dimensions' sizes, and who gave them. */
interface Known {
  readonly size: number;
  readonly shape?: readonly number[];
  readonly from: string;
}

export type Sizes = Map<string, Known>;

/** A tensor's dimensions as written, e.g. `[n, (g k), *s]`. */
export function writeDimensions(dimensions: readonly DimensionDescription[]): string {
  const written = dimensions.map(({ axes, fold }) =>
    fold ? `*${axes}` : axes.length > 1 ? `(${axes.join(' ')})` : axes,
  );
  return `[${written.join(', ')}]`;
}

/**
 * The dimensions in a layout's order. A dimension that splits into axes stays one where its axes stay neighbours in
 * their order, and becomes one dimension an axis where the layout separates or reorders them.
 */
export function physicalDimensions(
  dimensions: readonly DimensionDescription[],
  order: readonly string[],
): DimensionDescription[] {
  const mine = dimensions.flatMap((d) => d.axes);
  const sorted = order.filter((axis) => mine.includes(axis));
  const together = ({ axes }: DimensionDescription) => {
    const start = sorted.indexOf(axes[0]!);
    return axes.every((axis, i) => sorted[start + i] === axis);
  };
  const parts = dimensions.flatMap((d) => (together(d) ? [d] : d.axes.map((axis) => ({ axes: [axis] }))));
  return parts.sort((a, b) => sorted.indexOf(a.axes[0]!) - sorted.indexOf(b.axes[0]!));
}

export interface ShapedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** In physical order. */
  readonly dimensions: readonly DimensionDescription[];
}

/**
 * Adds to `sizes` what the tensors' shapes say about their axes. Throws where two tensors disagree, where a shape does
 * not fit its dimensions, and where a size cannot be told.
 */
export function inferSizes(tensors: readonly ShapedTensor[], sizes: Sizes): void {
  let waiting = tensors;
  for (let before = -1; before !== sizes.size; ) {
    before = sizes.size;
    waiting = waiting.filter((tensor) => !inferFrom(tensor, sizes));
  }
  for (const { name, dimensions } of waiting) {
    const unknown = dimensions.flatMap((d) => d.axes).filter((axis) => !sizes.has(axis));
    fail(
      'shape',
      `cannot tell the sizes of ${unknown.join(' and ')} from ${name}${writeDimensions(dimensions)}`,
    );
  }
}

/** Returns whether every axis of the tensor is known afterwards. */
function inferFrom({ name, shape, dimensions }: ShapedTensor, sizes: Sizes): boolean {
  const misfit = () => {
    const where = [`${name}${writeDimensions(dimensions)}`];
    for (const axis of dimensions.flatMap(({ axes }) => axes)) {
      const known = sizes.get(axis);
      if (known) where.push(`${axis} = ${known.shape ? `[${known.shape}]` : known.size} from ${known.from}`);
    }
    fail('shape', `${name} has shape [${shape}], which does not fit ${where.join(', ')}`);
  };
  let spare = shape.length;
  let open = 0;
  /** How many of the shape's sizes are of one dimension; undefined for a fold that nothing is known of. */
  const ranks = dimensions.map(({ axes, fold }) => {
    const rank = fold ? sizes.get(axes[0]!)?.shape?.length : 1;
    if (rank === undefined) open++;
    else spare -= rank;
    return rank;
  });
  if (spare < 0 || (open === 0 && spare > 0)) misfit();
  if (open > 1) return false;
  let at = 0;
  let complete = true;
  for (const [i, { axes, fold }] of dimensions.entries()) {
    const here = shape.slice(at, at + (ranks[i] ?? spare));
    at += here.length;
    const [axis, ...others] = axes.filter((one) => !sizes.has(one));
    const size = product(here);
    const known = product(axes.map((one) => sizes.get(one)?.size ?? 1));
    if (others.length > 0) complete = false;
    else if (axis === undefined) {
      if (size !== known || (fold && String(sizes.get(axes[0]!)!.shape) !== String(here))) misfit();
    } else {
      // With a factor of zero the other is free; zero keeps every product right.
      if (known === 0 ? size !== 0 : size % known !== 0) misfit();
      sizes.set(axis, { size: known === 0 ? 0 : size / known, from: name, ...(fold && { shape: here }) });
    }
  }
  return complete;
}

/** The shape of a tensor whose axes are all known. */
export function shapeOf(name: string, dimensions: readonly DimensionDescription[], sizes: Sizes): number[] {
  const known = (axis: string) =>
    sizes.get(axis) ?? fail('shape', `cannot tell the size of ${axis} in ${name}`);
  return dimensions.flatMap(({ axes, fold }) =>
    fold ? known(axes[0]!).shape! : [product(axes.map((axis) => known(axis).size))],
  );
}
