/** What is right: the interpreter's forward, and finite differences of it. */
import type { CallInputs } from '../../cli/session.ts';
import { float64 } from '../../compiler/graph/arithmetic.ts';
import { input as inputNode } from '../../compiler/graph/build.ts';
import type { Expr } from '../../compiler/graph/expr.ts';
import type { Forward } from '../../compiler/graph/formulas.ts';
import { arrange, interpret, type Value } from '../../compiler/graph/interpret.ts';
import { transform } from '../../compiler/graph/rebuild.ts';
import { gradientsOf } from '../../compiler/schedule/program.ts';
import { givenOf, type Sizes } from './calls.ts';
import type { Numbers } from './near.ts';

export type Named = ReadonlyMap<string, Numbers>;

/** A function of tensors by role and name (`input x`, `cotangent y`), to tensors by name. */
type Evaluate = (values: Named) => Map<string, Numbers>;

interface Result {
  readonly name: string;
  readonly axes: readonly string[];
  readonly expr: Expr;
}

function evaluator(forward: Forward, results: readonly Result[], call: CallInputs, sizes: Sizes): Evaluate {
  const { entry } = forward;
  const parameters = Object.entries(call.attributes).flatMap(([name, value]) =>
    typeof value === 'number' ? [[name, value] as const] : [],
  );
  const axes = new Map([
    ...entry.returns.map((r) => [r.name, r.axes] as const),
    ...givenOf(forward).map((t) => [t.name, t.axes] as const),
  ]);
  const stopped: Expr[] = [];
  const exprs = transform(
    results.map(({ expr }) => expr),
    (e) => (e.op === 'stop' ? inputNode('scratch', String(stopped.push(e.x) - 1), e.axes) : e),
  );
  // what no gradient flows through keeps the values of the first call
  const fixed: Value<number>[] = [];
  return (values) => {
    const input = ({ role, of }: { role: string; of: string }): Value<number> =>
      role === 'scratch' ? fixed[Number(of)]! : { axes: axes.get(of)!, data: values.get(`${role} ${of}`)! };
    const bindings = { sizes: sizes.of, parameters: new Map(parameters), input };
    for (const e of stopped.slice(fixed.length)) fixed.push(interpret([e], bindings, float64)[0]!);
    const found = interpret(exprs, bindings, float64);
    return new Map(results.map(({ name, axes }, i) => [name, arrange(found[i]!, axes, sizes.of).data]));
  };
}

/** Whether a call meets the conditions that are checked at run time. */
export function isAllowed(forward: Forward, call: CallInputs, sizes: Sizes): boolean {
  const tests = forward.conditions.map(({ test }, i) => ({ name: String(i), axes: [], expr: test }));
  return [...evaluator(forward, tests, call, sizes)(new Map()).values()].every(([truth]) => truth !== 0);
}

const keyed = (role: string, named: Named): [string, Numbers][] =>
  [...named].map(([name, data]) => [`${role} ${name}`, data]);

const inputsOf = ({ inputs }: CallInputs): Map<string, Numbers> =>
  new Map([...inputs].map(([name, { data }]) => [name, data]));

/** Returns and updated states. */
export function outputsOf(forward: Forward, call: CallInputs, sizes: Sizes): Map<string, Numbers> {
  const evaluate = evaluator(forward, [...forward.returns, ...forward.updates], call, sizes);
  return evaluate(new Map(keyed('input', inputsOf(call))));
}

const h = 2e-6;
const stencil = [
  [-2, 1 / 12],
  [-1, -8 / 12],
  [1, 8 / 12],
  [2, -1 / 12],
] as const;

/** The derivative of every result when `values` move along `direction`, to fourth order. */
function along(evaluate: Evaluate, values: Named, direction: Named): Map<string, Numbers> {
  const derivative = new Map<string, number[]>();
  evaluate(values);
  for (const [step, weight] of stencil) {
    const moved = new Map(values);
    for (const [name, d] of direction)
      moved.set(
        name,
        values.get(name)!.map((v, i) => v + step * h * d[i]!),
      );
    for (const [name, data] of evaluate(moved)) {
      const total = derivative.get(name) ?? data.map(() => 0);
      derivative.set(
        name,
        total.map((t, i) => t + (weight * data[i]!) / h),
      );
    }
  }
  return derivative;
}

export const inner = (a: Named, b: Named): number =>
  [...a].reduce((sum, [name, data]) => data.reduce((s, v, i) => s + v * (b.get(name)?.[i] ?? 0), sum), 0);

/** A function whose derivatives are wanted, at a point. */
export interface Point {
  readonly evaluate: Evaluate;
  readonly values: Named;
}

/** The differentiable returns as a function of the inputs. */
export function forwardAt(forward: Forward, call: CallInputs, sizes: Sizes): Point {
  const returns = forward.returns.filter(({ differentiable }) => differentiable);
  const values = new Map(keyed('input', inputsOf(call)));
  return { evaluate: evaluator(forward, returns, call, sizes), values };
}

/** The gradients as a function of the inputs and the cotangents; they are derived, so check them first. */
export function backwardAt(forward: Forward, call: CallInputs, sizes: Sizes, cotangents: Named): Point {
  const results = givenOf(forward).flatMap(({ name, axes }): Result[] => {
    const expr = gradientsOf(forward).get(name);
    return expr ? [{ name, axes, expr }] : [];
  });
  const values = new Map([...keyed('input', inputsOf(call)), ...keyed('cotangent', cotangents)]);
  return { evaluate: evaluator(forward, results, call, sizes), values };
}

/** Of every result, when the values move along a direction. */
export const tangentsAt = ({ evaluate, values }: Point, direction: Named): Named =>
  along(evaluate, values, direction);
