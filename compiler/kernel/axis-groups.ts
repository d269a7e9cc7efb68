/** Axes that lie side by side in every buffer, and are walked as one. */
import type { Axes } from '../graph/axes.ts';
import { type Code, index, times } from './kernel.ts';
import type { Nest } from './nest.ts';
import { inputsOf, type Tensors } from './tensors.ts';

/** Neighbouring axes that are walked as one, because every buffer has all of them or none. */
export type AxisGroup = readonly string[];

/** Groups of axes, in memory order, that share their membership in every buffer. */
export function collapse(
  axes: readonly string[],
  buffers: readonly (readonly string[])[],
  isApart: (a: string, b: string) => boolean = () => false,
): AxisGroup[] {
  const groups: string[][] = [];
  for (const axis of axes) {
    const last = groups.at(-1)?.at(-1);
    const isJoined =
      last !== undefined &&
      !isApart(last, axis) &&
      buffers.every((buffer) => areNeighbours(buffer, last, axis));
    if (isJoined) groups.at(-1)!.push(axis);
    else groups.push([axis]);
  }
  return groups;
}

const areNeighbours = (buffer: readonly string[], a: string, b: string): boolean =>
  buffer.includes(a) ? buffer[buffer.indexOf(a) + 1] === b : !buffer.includes(b);

interface Builder {
  readonly tensors: Tensors;
}

/** The axes of the buffers that some expressions and outputs touch, each in its physical order. */
export const buffersOf = (
  { tensors }: Builder,
  exprs: Parameters<typeof inputsOf>[0],
  outputs: readonly { readonly axes: readonly string[] }[],
): string[][] => [
  ...inputsOf(exprs).map((node) => [...tensors.ofInput(node).axes]),
  ...outputs.map(({ axes }) => tensors.inOrder(axes)),
];

export const sizeOf = ({ tensors }: Builder, groups: readonly AxisGroup[]): Code =>
  times(...groups.flat().map(tensors.size));
export const elementsOf = ({ tensors }: Builder, axes: Axes): Code =>
  times(...tensors.inOrder(axes).map(tensors.size));

/** Says where along a group of axes the innermost loop is: the last of them carries the position, which runs over all. */
export function place({ nest }: { readonly nest: Nest }, group: AxisGroup, position: Code): void {
  for (const axis of group.slice(0, -1)) nest.at(axis, index(0));
  nest.at(group.at(-1)!, position);
}
