/** Forward mode as a part: how the returns move when the arguments do. */
import { input } from '../graph/build.ts';
import { jvp } from '../graph/differentiate.ts';
import { recorded } from './algebra.ts';
import { forwardMode } from './forward-mode.ts';
import { lemmaFor } from './lemma.ts';
import { type Basis, claimOn, type Part, type Result } from './part.ts';
import { planOf } from './plan.ts';

export function jvpPart(basis: Basis): Part {
  const { forward, values, wanted } = basis;
  const returns = forward.returns.filter((output) => output.differentiable);
  const handed = new Map(wanted.map(({ name, axes, node }) => [node, input('tangent', name, axes)]));
  const nodesOf = (names: readonly { readonly name: string }[]) =>
    values.filter((value) => names.some(({ name }) => name === value.name)).map(({ node }) => node);
  const results = returns.map(({ name, axes, expr }): Result => {
    const { lines, flow } = forwardMode(values, nodesOf([{ name }]), handed);
    const { result, steps } = recorded(() => jvp([expr], handed)[0]!);
    const claim = claimOn('tangent', name, basis);
    return {
      name: `${name}_t`,
      of: name,
      axes,
      flow,
      isReached: lines.length > 0,
      steps,
      expr: result,
      plan: planOf(forward, 'jvp', (output) => output.of === name),
      ...(claim && { claim }),
    };
  });
  const lemma = lemmaFor(
    returns.map(({ expr }) => expr),
    [...handed.keys()],
    'forward',
  );
  const isAny = wanted.length > 0 && results.length > 0;
  return {
    direction: 'jvp',
    start: [],
    handed: wanted.map(({ name }) => ({ name: `${name}_t`, of: name })),
    lines: forwardMode(values, nodesOf(returns), handed).lines,
    ...(lemma && { lemma }),
    results: isAny ? results : [],
    ...(isAny && { plan: planOf(forward, 'jvp') }),
  };
}
