/** The order of an entry's axes. */
import type { Axis } from './spec.ts';

/**
 * All axes in an order that keeps each tensor's own; of several, the one nearest to the order in which they are met.
 * Where tensors contradict each other, as x[i, j] and y[j, i] do, the earlier one counts.
 */
export function commonOrder(tensors: readonly (readonly Axis[])[]): Axis[] {
  const axes = [...new Set(tensors.flat())];
  const inside = new Map(axes.map((axis) => [axis, new Set<Axis>()]));
  const contains = (outer: Axis, axis: Axis): boolean =>
    outer === axis || [...inside.get(outer)!].some((next) => contains(next, axis));
  for (const own of tensors)
    for (const [i, axis] of own.slice(1).entries())
      if (!contains(axis, own[i]!)) inside.get(own[i]!)!.add(axis);
  const left = new Set(axes);
  const isOutermost = (axis: Axis): boolean => ![...left].some((other) => inside.get(other)!.has(axis));
  const order: Axis[] = [];
  while (left.size > 0) {
    const next = [...left].find(isOutermost)!;
    order.push(next);
    left.delete(next);
  }
  return order;
}
