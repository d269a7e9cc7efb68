/** Decides whether two expressions are the same function: by random points of a prime field, or by 64 digits. */
import type { Arithmetic } from '../graph/arithmetic.ts';
import { type Axes, axesOf } from '../graph/axes.ts';
import { type Expr, topological } from '../graph/expr.ts';
import { arrange, interpret, type Value } from '../graph/interpret.ts';
import { finish } from '../graph/rebuild.ts';
import { type Digits, decimal, digits } from './decimal.ts';
import { NoValue, primeField } from './prime-field.ts';
import { createRandom, type Random } from './random.ts';

/** Where two expressions differ. */
export interface Difference {
  /** Elements by axis at which it was found. */
  readonly sizes: { readonly [axis: string]: number };
  /** The element's place by axis. */
  readonly element: { readonly [axis: string]: number };
  readonly left: string;
  readonly right: string;
}

export type Verdict =
  /** The same node, or equal at random points of a prime field. */
  | { readonly verdict: 'proved' }
  /** Only numbers could tell: equal to so many digits at every point tried. */
  | { readonly verdict: 'agrees'; readonly digits: number }
  | { readonly verdict: 'refuted'; readonly difference: Difference }
  /** No point was found at which both have a value. */
  | { readonly verdict: 'undecided' };

const pointsWanted = 3;
const attempts = 600;

/** `axes` are those both are compared over; an expression that lacks one repeats along it. */
export function areEqual(left: Expr, right: Expr, axes: Axes, seed = 1): Verdict {
  const [a, b] = finish([left, right]) as [Expr, Expr];
  if (a === b) return { verdict: 'proved' };
  const random = createRandom(seed);
  if (agreeInField(a, b, axes, random)) return { verdict: 'proved' };
  return compareDigits(a, b, axes, random);
}

function agreeInField(a: Expr, b: Expr, axes: Axes, random: Random): boolean {
  let agreed = 0;
  for (let attempt = 0; attempt < attempts && agreed < pointsWanted; attempt++) {
    const field = primeField(random.bits());
    const point = pointOf([a, b], axes, agreed, () => random.bits());
    try {
      const [x, y] = evaluate(a, b, axes, point, field);
      if (x.some((value, i) => value !== y[i])) return false;
      agreed++;
    } catch (error) {
      if (!(error instanceof NoValue)) throw error;
    }
  }
  return agreed === pointsWanted;
}

function compareDigits(a: Expr, b: Expr, axes: Axes, random: Random): Verdict {
  let agreed = digits;
  let points = 0;
  for (let attempt = 0; attempt < 60 && points < pointsWanted; attempt++) {
    // where a formula needs positive numbers, normals will not do
    const draw = attempt % 2 === 0 ? random.normal : () => 0.5 + random.uniform();
    const point = pointOf([a, b], axes, attempt, () => decimal.number(draw()));
    const [x, y] = evaluate(a, b, axes, point, decimal);
    if ([...x, ...y].some((value) => !value.isFinite())) continue;
    points++;
    const scale = [...x, ...y].reduce(
      (most, value) => (value.abs().gt(most) ? value.abs() : most),
      decimal.number(0),
    );
    if (scale.isZero()) continue;
    const errors = x.map((value, i) => value.sub(y[i]!).abs().div(scale));
    const worst = errors.reduce((most, error, i) => (error.gt(errors[most]!) ? i : most), 0);
    if (errors[worst]!.isZero()) continue;
    const exact = Math.floor(-errors[worst]!.log(10).toNumber());
    if (exact < digits - 14)
      return { verdict: 'refuted', difference: differenceAt(worst, axes, point.sizes, x, y) };
    agreed = Math.min(agreed, exact);
  }
  return points === 0 ? { verdict: 'undecided' } : { verdict: 'agrees', digits: agreed };
}

function differenceAt(
  at: number,
  axes: Axes,
  sizes: ReadonlyMap<string, number>,
  x: readonly Digits[],
  y: readonly Digits[],
): Difference {
  const element: { [axis: string]: number } = {};
  let rest = at;
  for (const axis of [...axes].reverse()) {
    element[axis] = rest % sizes.get(axis)!;
    rest = Math.floor(rest / sizes.get(axis)!);
  }
  const shown = (value: Digits): string => value.toSignificantDigits(12).toString();
  return { sizes: Object.fromEntries(sizes), element, left: shown(x[at]!), right: shown(y[at]!) };
}

interface Point<T> {
  readonly sizes: ReadonlyMap<string, number>;
  readonly parameters: ReadonlyMap<string, T>;
  readonly inputs: ReadonlyMap<Expr, Value<T>>;
}

/** Sizes of 2 to 4, never 1, at which a missing count would not show: over three turns each axis has all of them. */
const sizeAt = (turn: number, axis: number, axes: number): number =>
  axes > 4 ? 2 + ((turn + axis) % 2) : 2 + ((turn * (1 + (axis % 2)) + axis) % 3);

/** Sizes that vary with the turn, and random values. */
function pointOf<T>(exprs: readonly Expr[], axes: Axes, turn: number, draw: () => T): Point<T> {
  const nodes = topological(exprs);
  const named = nodes.flatMap((node) => (node.op === 'size' ? [node.axis] : node.axes));
  const every = axesOf([...named, ...axes]);
  const sizes = new Map(every.map((axis, i) => [axis, sizeAt(turn, i, every.length)]));
  const parameters = new Map<string, T>();
  const inputs = new Map<Expr, Value<T>>();
  for (const node of nodes) {
    if (node.op === 'parameter') parameters.set(node.name, draw());
    if (node.op !== 'input') continue;
    const length = node.axes.reduce((product, axis) => product * sizes.get(axis)!, 1);
    inputs.set(node, { axes: node.axes, data: Array.from({ length }, draw) });
  }
  return { sizes, parameters, inputs };
}

function evaluate<T>(
  a: Expr,
  b: Expr,
  axes: Axes,
  point: Point<T>,
  arithmetic: Arithmetic<T>,
): [readonly T[], readonly T[]] {
  const { sizes, parameters, inputs } = point;
  const values = interpret([a, b], { sizes, parameters, input: (node) => inputs.get(node)! }, arithmetic);
  const [x, y] = values.map((value) => arrange(value, axes, sizes).data);
  return [x!, y!];
}
