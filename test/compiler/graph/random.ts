/** Small random graphs, and their values. */
import { float64 } from '../../../compiler/graph/arithmetic.ts';
import {
  add,
  atom,
  call,
  compare,
  div,
  extremum,
  input,
  mean,
  mul,
  number,
  one,
  power,
  scale,
  select,
  size,
  sum,
  variance,
} from '../../../compiler/graph/build.ts';
import { type Expr, Fraction } from '../../../compiler/graph/expr.ts';
import { arrange, interpret } from '../../../compiler/graph/interpret.ts';
import { normals, type Random, randomOf } from '../random.ts';

const sizes = new Map([
  ['a', 2],
  ['b', 3],
  ['c', 2],
]);
const space = [...sizes.keys()];

export const inputs: readonly Expr[] = [
  input('input', 'x', ['a', 'b', 'c']),
  input('input', 'y', ['a', 'b', 'c']),
  input('input', 'w', ['b']),
  input('input', 'm', ['a', 'b']),
  input('input', 't', ['a']),
  input('input', 's', []),
];

export type Values = ReadonlyMap<string, readonly number[]>;

export function valuesFor(seed: string, of: readonly Expr[] = inputs): Map<string, readonly number[]> {
  const random = randomOf(seed);
  return new Map(
    of.map((e) => {
      const length = e.axes.reduce((n, axis) => n * sizes.get(axis)!, 1);
      return [e.op === 'input' ? `${e.role} ${e.of}` : '', normals(random, length)];
    }),
  );
}

/** The value of each over the whole space, row-major. */
export function evaluate(exprs: readonly Expr[], values: Values): (readonly number[])[] {
  const found = interpret(
    exprs,
    {
      sizes,
      parameters: new Map(),
      input: ({ role, of, axes }) => ({ axes, data: values.get(`${role} ${of}`)! }),
    },
    float64,
  );
  return found.map((value) => arrange(value, space, sizes).data);
}

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random.uniform() * from.length)]!;

/** Some axes, at least one. */
export const someAxes = (random: Random): string[] => {
  const axes = space.filter(() => random.uniform() < 0.5);
  return axes.length > 0 ? axes : [pick(random, space)];
};

/** Smooth and of moderate size. */
export function smooth(random: Random, depth: number): Expr {
  if (depth === 0) return pick(random, [...inputs, ...inputs, number(2), number('0.5'), size('b')]);
  const inner = (): Expr => smooth(random, depth - 1);
  const makers: readonly (() => Expr)[] = [
    () => add(inner(), inner()),
    () =>
      atom([
        [one, inner()],
        [new Fraction(-1), inner()],
      ]),
    () => mul(inner(), inner()),
    () => mul(inner(), inner()),
    () => scale(new Fraction(1, 3), inner()),
    () => div(inner(), add(power(inner(), 2), number(1))),
    () => power(add(power(inner(), 2), number(1)), new Fraction(-1, 2)),
    () => call(pick(random, ['tanh', 'sigmoid', 'sin', 'cos', 'erf']), inner()),
    () => sum(inner(), someAxes(random)),
    () => mean(inner(), someAxes(random)),
    () => centre(inner(), someAxes(random)),
    () => power(centre(inner(), someAxes(random)), 2),
    () => variance(inner(), someAxes(random)),
  ];
  return pick(random, makers)();
}

const centre = (e: Expr, over: string[]): Expr =>
  atom([
    [one, e],
    [new Fraction(-1), mean(e, over)],
  ]);

/** Also with choices and extrema, whose kinks random values avoid. */
export function piecewise(random: Random, depth: number): Expr {
  if (depth === 0) return smooth(random, 0);
  const inner = (): Expr => piecewise(random, depth - 1);
  const makers: readonly (() => Expr)[] = [
    () => select(test(random), inner(), inner()),
    () => select(test(random), inner(), number(0)),
    () => select(test(random), number(0), inner()),
    () => extremum(pick(random, ['amax', 'amin']), pick(random, inputs), someAxes(random)),
    () => call(pick(random, ['relu', 'abs', 'softplus']), inner()),
    () => call(pick(random, ['max', 'min']), inner(), inner()),
    () => mul(inner(), inner()),
    () => add(inner(), smooth(random, depth - 1)),
    () => sum(inner(), someAxes(random)),
  ];
  return pick(random, makers)();
}

/** A condition over some of the inputs. */
export const test = (random: Random): Expr =>
  compare(
    pick(random, ['<', '>', '<=', '>=', '!=']),
    pick(random, inputs),
    pick(random, [...inputs, number(0)]),
  );
