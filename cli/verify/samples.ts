/** Random calls of one variant: sizes that its requirements allow, and finite inputs. */

import type { Forward } from '../../compiler/graph/formulas.ts';
import type { Value } from '../../compiler/graph/interpret.ts';
import { elements } from '../../compiler/graph/interpret.ts';
import { differentiable } from '../../compiler/schedule/program.ts';
import type { Dimension } from '../../compiler/spec/spec.ts';
import { evaluate } from '../evaluate.ts';
import type { CallInputs } from '../session.ts';
import { createRandom, type Random } from './random.ts';

export type Tensors = ReadonlyMap<string, Value<number>>;

export interface Sample {
  readonly numbers: { readonly [name: string]: number };
  readonly sizes: ReadonlyMap<string, number>;
  /** Arguments by name, row-major in the signature's axis order; likewise the others. */
  readonly inputs: Tensors;
  /** By return. */
  readonly cotangents: Tensors;
  /** By differentiable argument. */
  readonly tangents: Tensors;
  readonly cotangents2: Tensors;
  /** The same as a call. */
  readonly call: CallInputs;
}

/** The kinds of sizes tried, the first for elementwise checks. */
export type Sizing = 'small' | 'ones' | 'odd' | 'round' | 'long';

/** Sizes by axis. `turn` rotates which axis is long, or is one. */
function sizesOf(forward: Forward, sizing: Sizing, turn: number): Map<string, number> {
  const { axes } = forward.entry;
  const of: { readonly [K in Sizing]: (i: number) => number } = {
    small: (i) => [2, 3, 4, 2, 2][(i + turn) % 5]!,
    ones: (i) => (i === turn % axes.length ? 1 : [3, 2, 5][i % 3]!),
    odd: (i) => (i === turn % axes.length ? 67 : [3, 5, 2][i % 3]!),
    round: (i) => (i === turn % axes.length ? 64 : [4, 2, 8][i % 3]!),
    long: (i) => (i === turn % axes.length ? 1283 : [2, 3, 2][i % 3]!),
  };
  return new Map(axes.map((axis, i) => [axis, of[sizing](i)]));
}

const tries = 12;

/** A call that meets the requirements and has finite results; undefined where none was found. */
export function sample(forward: Forward, sizing: Sizing, seed: string, turn: number): Sample | undefined {
  for (let attempt = 0; attempt < tries; attempt++) {
    const random = createRandom(`${seed} ${sizing} ${attempt}`);
    const sizes = sizesOf(forward, sizing, turn + attempt);
    const numbers = { ...attributesOf(forward, attempt + turn, random), ...Object.fromEntries(sizes) };
    const conditions = forward.conditions.map(({ test }) => test);
    const met = evaluate(forward, conditions, numbers, () => ({ axes: [], data: [Number.NaN] }));
    if (met.some(({ data }) => data[0] === 0)) continue;
    const inputs = finiteInputs(forward, sizes, numbers, random);
    if (inputs) return complete(forward, sizes, numbers, inputs, random, attempt + turn);
  }
  return undefined;
}

/** Defaults first; later samples move them. */
function attributesOf({ entry }: Forward, attempt: number, random: Random): { [name: string]: number } {
  const pairs = entry.arguments.flatMap((a): [string, number][] => {
    if (a.kind === 'int') return [[a.name, a.default ?? 2]];
    if (a.kind !== 'float') return [];
    const moved = (a.default ?? 1) * (0.5 + random.uniform());
    return [[a.name, a.default !== undefined && attempt % 2 === 0 ? a.default : moved]];
  });
  return Object.fromEntries(pairs);
}

function tensorsOf({ entry, variant }: Forward) {
  return entry.arguments.flatMap((a) =>
    a.kind === 'tensor' && (variant.given.get(a.name) ?? true) ? [a] : [],
  );
}

/** Normal inputs; where results are not finite, e.g. under a logarithm, positive ones, of as few tensors as will do. */
function finiteInputs(
  forward: Forward,
  sizes: ReadonlyMap<string, number>,
  numbers: { readonly [name: string]: number },
  random: Random,
): Map<string, Value<number>> | undefined {
  const tensors = tensorsOf(forward);
  const names = tensors.map(({ name }) => name);
  const states = tensors.filter(({ state }) => state).map(({ name }) => name);
  const choices = [[], ...names.map((name) => [name]), states, names];
  // What is normal stays: a tensor made positive is |normal| + 1/2 for some and uniform for none of the others.
  for (const positive of choices) {
    const inputs = new Map(
      tensors.map(({ name, axes }) => {
        const count = elements(axes, sizes);
        return [
          name,
          { axes, data: positive.includes(name) ? random.positives(count) : random.normals(count) },
        ];
      }),
    );
    const roots = [...forward.returns, ...forward.updates].map(({ expr }) => expr);
    const results = evaluate(forward, roots, numbers, (_, of) => inputs.get(of)!);
    if (results.every(({ data }) => data.every(Number.isFinite))) return inputs;
  }
  return undefined;
}

function complete(
  forward: Forward,
  sizes: ReadonlyMap<string, number>,
  numbers: { readonly [name: string]: number },
  inputs: Tensors,
  random: Random,
  turn: number,
): Sample {
  const draw = (of: readonly { readonly name: string; readonly axes: readonly string[] }[]): Tensors =>
    new Map(of.map(({ name, axes }) => [name, { axes, data: random.normals(elements(axes, sizes)) }]));
  const wrt = differentiable(forward);
  const flags = Object.fromEntries(forward.variant.flags);
  const floats = forward.entry.arguments
    .filter(({ kind, name }) => (kind === 'float' || kind === 'int') && name in numbers)
    .map(({ name }) => [name, numbers[name]]);
  const shaped = tensorsOf(forward).map(
    ({ name, dimensions }) =>
      [name, { shape: shapeOf(dimensions, sizes, turn), data: inputs.get(name)!.data }] as const,
  );
  return {
    numbers,
    sizes,
    inputs,
    cotangents: draw(forward.returns.filter((output) => output.differentiable)),
    tangents: draw(wrt),
    cotangents2: draw(wrt),
    call: { inputs: new Map(shaped), attributes: { ...Object.fromEntries(floats), ...flags } },
  };
}

/** A fold is one dimension, none where it has one element, and now and then two. */
const shapeOf = (
  dimensions: readonly Dimension[],
  sizes: ReadonlyMap<string, number>,
  turn: number,
): number[] =>
  dimensions.flatMap((d): number[] => {
    if (d.kind !== 'fold') return [elements(d.kind === 'split' ? d.axes : [d.axis], sizes)];
    const size = sizes.get(d.axis)!;
    if (size === 1) return turn % 2 === 0 ? [] : [1];
    return size % 2 === 0 && turn % 2 === 1 ? [2, size / 2] : [size];
  });
