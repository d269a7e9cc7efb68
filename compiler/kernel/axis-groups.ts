/** Axes that lie side by side in every buffer, and are walked as one. */
import type { Axes } from '../graph/axes.ts';
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

interface Buffers {
  readonly tensors: Tensors;
  readonly inOrder: (axes: Axes) => string[];
}

/** The axes of the buffers that some expressions and outputs touch, each in its physical order. */
export const buffersOf = (
  { tensors, inOrder }: Buffers,
  exprs: Parameters<typeof inputsOf>[0],
  outputs: readonly { readonly axes: readonly string[] }[],
): string[][] => [
  ...inputsOf(exprs).map((node) => [...tensors.ofInput(node).axes]),
  ...outputs.map(({ axes }) => inOrder([...axes])),
];
