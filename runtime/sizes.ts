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
    fold ? `*${axes[0]}` : axes.length === 1 ? axes[0] : `(${axes.join(' ')})`,
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
  const open = dimensions.filter((d) => d.fold && !sizes.has(d.axes[0]!));
  const fixed = dimensions.reduce(
    (n, d) => n + (d.fold ? (sizes.get(d.axes[0]!)?.shape?.length ?? 0) : 1),
    0,
  );
  const spare = shape.length - fixed;
  if (spare < 0 || (open.length === 0 && spare > 0)) {
    fail('shape', `${name} has shape [${shape}], which does not fit ${name}${writeDimensions(dimensions)}`);
  }
  if (open.length > 1) return false;
  let at = 0;
  let complete = true;
  for (const { axes, fold } of dimensions) {
    const axis = axes[0]!;
    const rank = fold ? (sizes.get(axis)?.shape?.length ?? spare) : 1;
    const here = shape.slice(at, at + rank);
    at += rank;
    if (fold) setFold(sizes, axis, here, name);
    else if (axes.length === 1) setSize(sizes, axis, here[0]!, name);
    else complete = setSplit(sizes, axes, here[0]!, name) && complete;
  }
  return complete;
}

function setSize(sizes: Sizes, axis: string, size: number, from: string): void {
  const known = sizes.get(axis);
  if (known && known.size !== size) {
    fail('shape', `${from} has size ${size} along ${axis}, but ${known.from} has ${known.size}`);
  }
  if (!known) sizes.set(axis, { size, from });
}

function setFold(sizes: Sizes, axis: string, shape: readonly number[], from: string): void {
  const known = sizes.get(axis);
  if (known && String(known.shape) !== String(shape)) {
    fail('shape', `${from} has sizes [${shape}] along *${axis}, but ${known.from} has [${known.shape}]`);
  }
  if (!known) sizes.set(axis, { size: product(shape), shape, from });
}

function setSplit(sizes: Sizes, axes: readonly string[], size: number, from: string): boolean {
  const unknown = axes.filter((axis) => !sizes.has(axis));
  const rest = product(axes.map((axis) => sizes.get(axis)?.size ?? 1));
  if (unknown.length > 1) return false;
  if (unknown.length === 0 ? rest !== size : rest === 0 ? size !== 0 : size % rest !== 0) {
    const known = axes.filter((axis) => sizes.has(axis)).map((axis) => `${axis} = ${sizes.get(axis)!.size}`);
    fail(
      'shape',
      `${from} has size ${size} along (${axes.join(' ')}), which does not fit ${known.join(', ')}`,
    );
  }
  // With a factor of zero the other is free; zero keeps every product right.
  if (unknown[0]) setSize(sizes, unknown[0], rest === 0 ? 0 : size / rest, from);
  return true;
}

/** The shape of a tensor whose axes are all known. */
export function shapeOf(name: string, dimensions: readonly DimensionDescription[], sizes: Sizes): number[] {
  const known = (axis: string) =>
    sizes.get(axis) ??
    fail('shape', `the size of ${axis} in ${name}${writeDimensions(dimensions)} is not known`);
  return dimensions.flatMap(({ axes, fold }) =>
    fold ? known(axes[0]!).shape! : [product(axes.map((axis) => known(axis).size))],
  );
}
