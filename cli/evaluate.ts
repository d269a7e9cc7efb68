/** Evaluates graphs of an entry's variant on numbers, in f64. */
import { float64 } from '../compiler/graph/arithmetic.ts';
import type { Expr } from '../compiler/graph/expr.ts';
import type { Forward } from '../compiler/graph/formulas.ts';
import { interpret, type Value } from '../compiler/graph/interpret.ts';
import type { Numbers } from '../runtime/index.ts';

/** The roots' values, from sizes and attributes by name, and what tensors hold by role and name. */
export function evaluate(
  { entry }: Forward,
  roots: readonly Expr[],
  numbers: Numbers,
  input: (role: string, of: string) => Value<number>,
): Value<number>[] {
  const isAxis = ([name]: [string, number]): boolean => entry.axes.includes(name);
  const sizes = new Map(Object.entries(numbers).filter(isAxis));
  const parameters = new Map(Object.entries(numbers).filter((pair) => !isAxis(pair)));
  return interpret(roots, { sizes, parameters, input: ({ role, of }) => input(role, of) }, float64);
}
