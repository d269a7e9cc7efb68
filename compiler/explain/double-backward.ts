/** The double backward as a part: reverse mode over the formulas of the gradients. */
import { count, div, input, reduce } from '../graph/build.ts';
import { vjp } from '../graph/differentiate.ts';
import type { Expr } from '../graph/expr.ts';
import { transform } from '../graph/rebuild.ts';
import { gradientsOf, weighedGradients } from '../schedule/program.ts';
import { namer, recorded } from './algebra.ts';
import { lemmaFor } from './lemma.ts';
import { type Basis, claimOn, type Part, type Result } from './part.ts';
import { planOf } from './plan.ts';
import { reverseMode, type Seed, secondOrder } from './reverse.ts';
import { meansIn, type NamedValue, withParts } from './values.ts';

export function doubleBackwardPart(basis: Basis): Part {
  const { forward, values, wanted } = basis;
  const start = gradientFormulas(basis);
  const seeds = wanted.flatMap(({ name, axes }): Seed[] => {
    const formula = start.find((value) => value.isAuthored && value.name === `d${name}`);
    return formula ? [{ node: formula.node, ct: input('cotangent2', name, axes) }] : [];
  });
  const outputs = weighedGradients(
    forward,
    wanted.map(({ name }) => name),
  );
  const all = [...values, ...start];
  const resultFor = (name: string, of: string, role: string, axes: readonly string[], node: Expr): Result => {
    const { cotangents, flow } = reverseMode(all, seeds, [node], secondOrder);
    const { result: expr, steps } = recorded(() => vjp(outputs, [node])[0]!);
    const claim = claimOn('second', role === 'second' ? of : `grad_${of}`, basis);
    return {
      name,
      of: role === 'second' ? of : `grad_${of}`,
      axes,
      flow,
      isReached: cotangents.length > 0,
      steps,
      expr,
      plan: planOf(forward, 'double_backward', (output) => output.role === role && output.of === of),
      ...(claim && { claim }),
    };
  };
  const returns = forward.returns.filter((output) => output.differentiable);
  const cotangents = returns.map(({ name, axes }) => ({ name, axes, node: input('cotangent', name, axes) }));
  const isAny = wanted.length > 0;
  // where there are no gradients there is no program for them either
  const results = !isAny
    ? []
    : [
        ...cotangents.map(({ name, axes, node }) =>
          resultFor(`second_grad_${name}`, name, 'second_cotangent', axes, node),
        ),
        ...wanted.map(({ name, axes, node }) => resultFor(`second_${name}`, name, 'second', axes, node)),
      ];
  const nodes = [...cotangents, ...wanted].map(({ node }) => node);
  const lemma = lemmaFor(
    outputs.map(([expr]) => expr),
    nodes,
    'reverse',
  );
  return {
    direction: 'double_backward',
    start,
    handed: wanted.map(({ name }) => ({ name: `v_${name}`, of: `d${name}` })),
    lines: reverseMode(all, seeds, nodes, secondOrder).cotangents,
    ...(lemma && { lemma }),
    results,
    ...(isAny && { plan: planOf(forward, 'double_backward') }),
  };
}

/** The gradients as named values over those of the forward, with their reductions named. */
function gradientFormulas({ forward, values, wanted }: Basis): NamedValue[] {
  const gradients = gradientsOf(forward);
  // what is differentiated again keeps its stop_gradient
  const named = namer(values, forward.scope, meansIn);
  const authored = wanted.map(({ name }): NamedValue => {
    const expr = sumsIn(named(gradients.get(name)!));
    return { name: `d${name}`, node: input('scratch', `d${name}`, expr.axes), expr, isAuthored: true };
  });
  const taken = [...forward.entry.arguments, ...forward.entry.returns, ...values, ...authored];
  return withParts(
    authored,
    taken.map(({ name }) => name),
  );
}

/** Means that have no name, as sums over their counts: what a sum and a mean share is reduced once. */
const sumsIn = (root: Expr): Expr =>
  transform([root], (e) => (e.op === 'mean' ? div(reduce('sum', e.x, e.over), count(e.over)) : e))[0]!;
