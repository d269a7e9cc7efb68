/** Calls of any entry that exercise its kernels: sizes of several kinds, and data for them. */
import type { CallInputs } from '../../cli/session.ts';
import type { Forward } from '../../compiler/graph/formulas.ts';
import type { Axis, Dimension, Entry, TensorArgument } from '../../compiler/spec/spec.ts';
import type { Numbers } from './near.ts';
import { normals, type Random, randomOf } from './random.ts';

/** The sizes of one call. */
export interface Sizes {
  readonly title: string;
  readonly of: ReadonlyMap<Axis, number>;
  /** The dimensions of each folded axis. */
  readonly folds: ReadonlyMap<Axis, readonly number[]>;
}

const foldedAxes = (entry: Entry): Set<Axis> =>
  new Set(
    [...entry.arguments, ...entry.returns].flatMap((t) =>
      'dimensions' in t ? t.dimensions.flatMap((d) => (d.kind === 'fold' ? [d.axis] : [])) : [],
    ),
  );

/** Odd and single sizes, each axis in turn large and empty, and folds of none and of several dimensions. */
export function sizesOf(entry: Entry): Sizes[] {
  const { axes } = entry;
  const folds = foldedAxes(entry);
  const make = (title: string, of: (i: number) => number, split?: readonly number[]): Sizes => {
    const shapes = new Map(axes.flatMap((a, i) => (folds.has(a) ? [[a, split ?? [of(i)]] as const] : [])));
    const sizes = axes.map((a, i) => [a, shapes.get(a)?.reduce((x, y) => x * y, 1) ?? of(i)] as const);
    return { title, of: new Map(sizes), folds: shapes };
  };
  const odd = (i: number): number => [3, 5, 2, 4][i % 4]!;
  const all = [make('odd', odd)];
  if (axes.length === 0) return all;
  all.push(make('ones', () => 1));
  for (const [k, axis] of axes.entries()) {
    all.push(make(`large ${axis}`, (i) => (i === k ? 261 + 40 * k : 1 + (i % 3))));
    all.push(make(`empty ${axis}`, (i) => (i === k ? 0 : 2)));
  }
  if (axes.length > 1) all.push(make('even', () => (axes.length > 2 ? 6 : 20)));
  if (folds.size > 0)
    all.push(make('no folded dimensions', odd, []), make('two folded dimensions', odd, [2, 3]));
  return all;
}

function shapeOf(dimensions: readonly Dimension[], sizes: Sizes): number[] {
  return dimensions.flatMap((d) => {
    if (d.kind === 'fold') return sizes.folds.get(d.axis)!;
    return (d.kind === 'split' ? d.axes : [d.axis]).reduce((n, axis) => n * sizes.of.get(axis)!, 1);
  });
}

/** A tensor whose name says that it is positive is; all others are standard normal. */
function fill({ name }: { readonly name: string }, length: number, random: Random): Numbers {
  const values = normals(random, length);
  return /var|positive/.test(name) ? values.map((v) => Math.fround(0.3 + v * v)) : values;
}

const elementsOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** The tensors that a variant is given. */
export const givenOf = ({ entry, variant }: Forward): TensorArgument[] =>
  entry.arguments.flatMap((a) => (a.kind === 'tensor' && (variant.given.get(a.name) ?? true) ? [a] : []));

export function callOf(forward: Forward, sizes: Sizes): CallInputs {
  const { entry, variant } = forward;
  const random = randomOf(`${entry.name} ${sizes.title}`);
  const inputs = givenOf(forward).map((tensor) => {
    const shape = shapeOf(tensor.dimensions, sizes);
    return [tensor.name, { shape, data: fill(tensor, elementsOf(shape), random) }] as const;
  });
  const attributes = entry.arguments.flatMap((a): [string, number | boolean][] => {
    if (a.kind === 'tensor') return [];
    if (a.kind === 'bool') return [[a.name, variant.flags.get(a.name)!]];
    return [[a.name, sizes.of.get(a.name) ?? a.default ?? (a.kind === 'int' ? 3 : 0.75)]];
  });
  return { inputs: new Map(inputs), attributes: Object.fromEntries(attributes) };
}

/** Numbers for tensors by name, shaped like the arguments or returns of these names. */
export function randomLike(
  tensors: readonly { readonly name: string; readonly dimensions: readonly Dimension[] }[],
  sizes: Sizes,
  seed: string,
): Map<string, Numbers> {
  const random = randomOf(seed);
  return new Map(
    tensors.map(({ name, dimensions }) => [name, normals(random, elementsOf(shapeOf(dimensions, sizes)))]),
  );
}
