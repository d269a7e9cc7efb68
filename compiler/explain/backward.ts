/** The backward as a part: reverse mode over the forward. */
import { input } from '../graph/build.ts';
import { vjp } from '../graph/differentiate.ts';
import { cotangentsOf } from '../schedule/program.ts';
import { recorded } from './algebra.ts';
import { lemmaFor } from './lemma.ts';
import { type Basis, claimOn, type Part, type Result } from './part.ts';
import { planOf } from './plan.ts';
import { reverseMode, type Seed } from './reverse.ts';

export function backwardPart(basis: Basis): Part {
  const { forward, values, wanted } = basis;
  const returns = forward.returns.filter((output) => output.differentiable);
  const seeds = returns.flatMap(({ name, axes }): Seed[] => {
    const value = values.find((candidate) => candidate.name === name);
    return value ? [{ node: value.node, ct: input('cotangent', name, axes) }] : [];
  });
  const outputs = cotangentsOf(forward).map(({ expr, ct }) => [expr, ct] as const);
  const nodes = wanted.map(({ node }) => node);
  const results = wanted.map(({ name, axes, node }): Result => {
    const { cotangents, flow } = reverseMode(values, seeds, [node]);
    const { result: expr, steps } = recorded(() => vjp(outputs, [node])[0]!);
    const claim = claimOn('gradient', name, basis);
    return {
      name: `d${name}`,
      of: name,
      axes,
      flow,
      isReached: cotangents.length > 0,
      steps,
      expr,
      plan: planOf(forward, 'backward', (output) => output.of === name),
      ...(claim && { claim }),
    };
  });
  const lemma = lemmaFor(
    outputs.map(([expr]) => expr),
    nodes,
    'reverse',
  );
  return {
    direction: 'backward',
    start: [],
    handed: returns.map(({ name }) => ({ name: `grad_${name}`, of: name })),
    lines: reverseMode(values, seeds, nodes).cotangents,
    ...(lemma && { lemma }),
    results,
    ...(results.length > 0 && { plan: planOf(forward, 'backward') }),
  };
}
