/** Formulas of more tensors than a kernel can bind, in parts: kernels leave these for others to go on from. */
import { type Expr, isReduction } from '../../graph/expr.ts';
import { mostStorageBuffers } from '../bound.ts';
import { index, type Kernel, times } from '../kernel.ts';
import { type Found, inputsIn, leavesOf, type Packing } from '../pack.ts';
import { operands, type Scalar } from '../scalar-build.ts';
import type { Context } from './build.ts';
import { prepareKernel } from './prepare.ts';

export interface InParts {
  /** They leave the parts, in order. */
  readonly kernels: readonly Kernel[];
  /** Finds these. */
  readonly context: Context;
}

/** What a kernel that leaves parts can read: it writes to one buffer. */
const mostRead = mostStorageBuffers - 1;

/**
 * Parts of some values, after which a kernel that computes all of them reads no more than so many buffers. `own` are
 * handles of what the kernel itself computes.
 */
export function inParts(
  roots: readonly Scalar[],
  context: Context,
  most: number,
  own: ReadonlySet<Expr> = new Set(),
): InParts {
  const parts = partsOf(roots, context.packed.found, most, own);
  const left = leave(parts, context, own);
  for (const part of parts) context.left.set(part, left.context.packed.found(part)!);
  return left;
}

/** Kernels that leave these values, each computed with the help of those before it. */
export function leave(
  parts: readonly Scalar[],
  context: Context,
  own: ReadonlySet<Expr> = new Set(),
): InParts {
  const { packed, buffers } = context;
  const packings = packingsOf(parts, context);
  /** With the parts that are known when so many have been computed. */
  const after = (count: number): Context => {
    const known = new Set(parts.slice(0, count));
    const found: Found = (scalar) => {
      const packing = known.has(scalar) ? packings.get(keyOf(scalar)) : undefined;
      return packing ? { packing, slot: packing.slots.get(scalar)! } : packed.found(scalar);
    };
    const more = [...packings.values()].map(({ buffer }) => buffer);
    return { ...context, buffers: [...buffers, ...more], packed: { ...packed, found } };
  };
  const kernels: Kernel[] = [];
  for (let start = 0, end = 0; start < parts.length; start = end) {
    const before = after(start);
    const key = keyOf(parts[start]!);
    const fits = (): boolean => {
      const more = parts.slice(start, end + 1);
      return (
        more.every((part) => keyOf(part) === key) && readBy(more, before.packed.found, own).size <= mostRead
      );
    };
    do end++;
    while (end < parts.length && fits());
    const packing = packings.get(key)!;
    const slots = parts.slice(start, end).map((part) => [part, packing.slots.get(part)!] as const);
    kernels.push(prepareKernel(parts[start]!.axes, packing, slots, before));
  }
  return { kernels, context: after(parts.length) };
}

const keyOf = ({ axes }: Scalar): string => axes.join(' ');

/** One buffer for all parts with the same axes. */
function packingsOf(parts: readonly Scalar[], { tensors, inOrder }: Context): Map<string, Packing> {
  const keys = new Set(parts.map(keyOf));
  return new Map(
    [...keys].map((key) => {
      const own = parts.filter((part) => keyOf(part) === key);
      const kept = inOrder(own[0]!.axes);
      const length = times(index(own.length), ...kept.map(tensors.size));
      const slots = new Map(own.map((part, slot) => [part, slot]));
      return [key, { kept, gap: 0, slots, buffer: tensors.scratch('parts', kept, length) }];
    }),
  );
}

/** The buffers that are read for some values, of which the kernel computes its own. */
function readBy(
  scalars: readonly Scalar[],
  found: Found,
  own: ReadonlySet<Expr>,
  parts: ReadonlySet<Scalar> = new Set(),
): Set<string> {
  const buffers = new Set<string>();
  const all = new Set(scalars);
  for (const scalar of all) {
    const at = found(scalar);
    if (parts.has(scalar)) buffers.add(`parts ${keyOf(scalar)}`);
    else if (at) buffers.add(at.packing.buffer.name);
    else if (scalar.is !== 'leaf') for (const operand of operands(scalar)) all.add(operand);
    else if (!own.has(scalar.expr)) for (const id of inputsIn(scalar)) buffers.add(id);
  }
  return buffers;
}

/**
 * From the leaves up, an operand is left as a part wherever an operation would read too much otherwise: one that is
 * smaller than the others if that is enough, or the one without which least is read.
 */
function partsOf(roots: readonly Scalar[], found: Found, most: number, own: ReadonlySet<Expr>): Scalar[] {
  const parts = new Set<Scalar>();
  const isKnownBefore = (scalar: Scalar): boolean =>
    scalar.type === 'real' && !leavesOf(scalar).some((leaf) => isReduction(leaf) || own.has(leaf));
  const isLeft = (scalar: Scalar): boolean => parts.has(scalar) || found(scalar) !== undefined;
  /** What of some values can be a part; of the others, what they are computed from. If there is nothing else, copies. */
  const choicesIn = (scalars: readonly Scalar[]): Scalar[] => {
    const all = new Set(scalars);
    for (const scalar of all) {
      if (isLeft(scalar) || isKnownBefore(scalar)) continue;
      for (const operand of operands(scalar)) all.add(operand);
    }
    const known = [...all].filter((scalar) => !isLeft(scalar) && isKnownBefore(scalar));
    const computed = known.filter(({ is }) => is !== 'leaf');
    return computed.length > 0 ? computed : known.filter(isTensor);
  };
  const fit = (scalars: readonly Scalar[], atMost: number): void => {
    while (readBy(scalars, found, own, parts).size > atMost) {
      const choices = choicesIn(scalars).map((part): Choice => {
        const left = readBy(scalars, found, own, new Set([...parts, part])).size;
        return { part, left };
      });
      if (choices.length === 0) return;
      parts.add(bestOf(choices, atMost).part);
    }
  };
  for (const scalar of operandsFirst(roots, found)) fit(operands(scalar), mostRead);
  fit(roots, most);
  return [...parts];
}

/** A part, and how many buffers are left to read with it. */
interface Choice {
  readonly part: Scalar;
  readonly left: number;
}

function bestOf(choices: readonly Choice[], most: number): Choice {
  const largest = Math.max(...choices.map(({ part }) => part.axes.length));
  const enough = choices.filter(({ part, left }) => part.axes.length < largest && left <= most);
  return (enough.length > 0 ? enough : choices).reduce((a, b) => (b.left < a.left ? b : a));
}

const isTensor = (scalar: Scalar): boolean => scalar.is === 'leaf' && scalar.expr.op === 'input';

/** All that has to be computed, operands first. */
function operandsFirst(roots: readonly Scalar[], found: Found): Set<Scalar> {
  const all = new Set<Scalar>();
  const visit = (scalar: Scalar): void => {
    if (all.has(scalar) || found(scalar)) return;
    operands(scalar).forEach(visit);
    all.add(scalar);
  };
  roots.forEach(visit);
  return all;
}
