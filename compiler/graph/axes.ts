/** Sets of axis names: sorted, without duplicates, never mutated. */

export type Axes = readonly string[];

export const axesOf = (names: Iterable<string>): Axes => [...new Set(names)].sort();

export const union = (...sets: readonly Axes[]): Axes => {
  const [first, second] = sets;
  if (first && sets.length === 1) return first;
  if (first && second && sets.length === 2) {
    if (isSubset(second, first)) return first;
    if (isSubset(first, second)) return second;
  }
  return axesOf(sets.flat());
};

/** Axes in the order of a layout that has them. */
export const orderOf =
  (layout: readonly string[]) =>
  (axes: Axes): string[] =>
    layout.filter((axis) => axes.includes(axis));

export const intersection = (a: Axes, b: Axes): Axes => a.filter((axis) => b.includes(axis));

export const difference = (a: Axes, b: Axes): Axes => a.filter((axis) => !b.includes(axis));

export const isSubset = (a: Axes, b: Axes): boolean => a.every((axis) => b.includes(axis));

export const isStrictSubset = (a: Axes, b: Axes): boolean => a.length < b.length && isSubset(a, b);

export const sameAxes = (a: Axes, b: Axes): boolean => a.length === b.length && isSubset(a, b);

export const overlaps = (a: Axes, b: Axes): boolean => a.some((axis) => b.includes(axis));
