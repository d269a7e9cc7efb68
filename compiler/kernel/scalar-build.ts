/** Scalars and their constructors. Equal values are the same object, and what constants or conditions settle is settled. */

import { comparisons } from '../graph/arithmetic.ts';
import { type Axes, union } from '../graph/axes.ts';
import type { Call, Expr } from '../graph/expr.ts';
import { createWeakTable } from '../graph/weak-table.ts';
import type { Comparison } from '../spec/spec.ts';
import { constantOf } from './constant.ts';

export type Shape =
  | { readonly is: 'number'; readonly value: number }
  | { readonly is: 'truth'; readonly value: boolean }
  /** An input, a parameter, a size or the result of a reduction: found, not computed. */
  | { readonly is: 'leaf'; readonly expr: Expr }
  | { readonly is: '+' | '-' | '*' | '/'; readonly a: Scalar; readonly b: Scalar }
  | { readonly is: 'and' | 'or'; readonly a: Scalar; readonly b: Scalar }
  | { readonly is: 'negate' | 'sqrt' | 'rsqrt' | 'not'; readonly x: Scalar }
  | { readonly is: 'call'; readonly fn: Call; readonly args: readonly Scalar[] }
  | { readonly is: 'compare'; readonly fn: Comparison; readonly a: Scalar; readonly b: Scalar }
  | { readonly is: 'select'; readonly test: Scalar; readonly then: Scalar; readonly else: Scalar };

export type Scalar = Shape & {
  readonly id: number;
  readonly axes: Axes;
  readonly type: 'real' | 'bool';
};

export const operands = (s: Scalar): readonly Scalar[] => {
  if ('a' in s) return [s.a, s.b];
  if ('x' in s) return [s.x];
  if ('args' in s) return s.args;
  return 'test' in s ? [s.test, s.then, s.else] : [];
};

const table = createWeakTable<Scalar>();
let nextId = 0;

/** The one scalar of this shape. */
function make(key: string, shape: Shape, axes: Axes, type: 'real' | 'bool' = 'real'): Scalar {
  const known = table.get(key);
  if (known) return known;
  const constant = constantOf(shape);
  if (constant !== undefined) return number(constant);
  const scalar: Scalar = { ...shape, id: nextId++, axes, type };
  table.set(key, scalar);
  return scalar;
}

export const number = (value: number): Scalar => make(`#${value}`, { is: 'number', value }, []);
export const isNumber = (s: Scalar, value: number): boolean => s.is === 'number' && s.value === value;
export const truth = (value: boolean): Scalar => make(`truth ${value}`, { is: 'truth', value }, [], 'bool');
export const leaf = (expr: Expr): Scalar => make(`leaf ${expr.id}`, { is: 'leaf', expr }, expr.axes);

export function binary(is: '+' | '-' | '*' | '/', a: Scalar, b: Scalar): Scalar {
  if ((is === '*' || is === '/') && isNumber(b, 1)) return a;
  if (is === '*' && isNumber(a, 1)) return b;
  if (is === '*' && isNumber(a, -1)) return prefix('negate', b);
  if ((is === '+' || is === '-') && isNumber(b, 0)) return a;
  return make(`${a.id} ${is} ${b.id}`, { is, a, b }, union(a.axes, b.axes));
}

export const prefix = (is: 'negate' | 'sqrt' | 'rsqrt', x: Scalar): Scalar =>
  make(`${is} ${x.id}`, { is, x }, x.axes);

export const call = (fn: Call, args: readonly Scalar[]): Scalar =>
  make(`${fn} ${args.map((a) => a.id)}`, { is: 'call', fn, args }, union(...args.map((a) => a.axes)));

export function compare(fn: Comparison, a: Scalar, b: Scalar): Scalar {
  const known = comparedNumbers(a, b);
  if (known) return truth(comparisons[fn](...known));
  return make(`${a.id} ${fn} ${b.id}`, { is: 'compare', fn, a, b }, union(a.axes, b.axes), 'bool');
}

/** Numbers that compare as the operands do, where that is known: with NaN whatever the other is. */
function comparedNumbers(a: Scalar, b: Scalar): [number, number] | undefined {
  const [x, y] = [a, b].map((s) => (s.is === 'number' ? s.value : undefined));
  if (x !== undefined && y !== undefined) return [x, y];
  return Number.isNaN(x) || Number.isNaN(y) ? [Number.NaN, 0] : undefined;
}

export function not(x: Scalar): Scalar {
  if (x.is === 'truth') return truth(!x.value);
  return make(`not ${x.id}`, { is: 'not', x }, x.axes, 'bool');
}

/** The second operand matters only where the first leaves it open. */
export function logic(is: 'and' | 'or', a: Scalar, second: Scalar): Scalar {
  const b = under(a, is === 'and', second);
  for (const [x, other] of [
    [a, b],
    [b, a],
  ] as const)
    if (x.is === 'truth') return x.value === (is === 'and') ? other : x;
  return make(`${a.id} ${is} ${b.id}`, { is, a, b }, union(a.axes, b.axes), 'bool');
}

export function select(test: Scalar, first: Scalar, second: Scalar): Scalar {
  if (test.is === 'truth') return test.value ? first : second;
  const [then, otherwise] = [under(test, true, first), under(test, false, second)];
  return make(
    `select ${test.id} ${then.id} ${otherwise.id}`,
    { is: 'select', test, then, else: otherwise },
    union(test.axes, then.axes, otherwise.axes),
    then.type,
  );
}

/** What is computed only where a condition holds, or does not: where x = 1, it is not 2. */
function under(test: Scalar, holds: boolean, scalar: Scalar): Scalar {
  const known = new Map<Scalar, number>();
  learn(test, holds, known);
  return known.size === 0 ? scalar : settled(scalar, known, new Map());
}

/** Finds the scalars that a condition says are equal to a number. */
function learn(test: Scalar, holds: boolean, known: Map<Scalar, number>): void {
  if (test.is === 'not') learn(test.x, !holds, known);
  if (test.is === (holds ? 'and' : 'or')) for (const part of operands(test)) learn(part, holds, known);
  const equality = equalityIn(test, holds ? '==' : '!=');
  if (equality) known.set(...equality);
}

function equalityIn(test: Scalar, fn: '==' | '!='): [x: Scalar, value: number] | undefined {
  if (test.is !== 'compare' || test.fn !== fn) return undefined;
  const { a, b } = test;
  if (b.is === 'number') return [a, b.value];
  return a.is === 'number' ? [b, a.value] : undefined;
}

/** The same with comparisons of what is known decided. */
function settled(scalar: Scalar, known: ReadonlyMap<Scalar, number>, seen: Map<Scalar, Scalar>): Scalar {
  const before = seen.get(scalar);
  if (before) return before;
  const after =
    decided(scalar, known) ??
    rebuilt(
      scalar,
      operands(scalar).map((x) => settled(x, known, seen)),
    );
  seen.set(scalar, after);
  return after;
}

function decided(scalar: Scalar, known: ReadonlyMap<Scalar, number>): Scalar | undefined {
  const [x, value] = equalityIn(scalar, '==') ?? equalityIn(scalar, '!=') ?? [];
  const other = x && known.get(x);
  return other === undefined || scalar.is !== 'compare'
    ? undefined
    : truth((other === value) === (scalar.fn === '=='));
}

function rebuilt(scalar: Scalar, parts: readonly Scalar[]): Scalar {
  if (operands(scalar).every((part, i) => part === parts[i])) return scalar;
  const [a, b, c] = parts as [Scalar, Scalar, Scalar];
  switch (scalar.is) {
    case 'number':
    case 'truth':
    case 'leaf':
      return scalar;
    case 'negate':
    case 'sqrt':
    case 'rsqrt':
      return prefix(scalar.is, a);
    case 'not':
      return not(a);
    case 'and':
    case 'or':
      return logic(scalar.is, a, b);
    case 'compare':
      return compare(scalar.fn, a, b);
    case 'call':
      return call(scalar.fn, parts);
    case 'select':
      return select(a, b, c);
    default:
      return binary(scalar.is, a, b);
  }
}
