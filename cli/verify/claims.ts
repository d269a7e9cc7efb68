/** The formulas that a spec claims for derivatives, against the derivation. */
import { input } from '../../compiler/graph/build.ts';
import type { Expr } from '../../compiler/graph/expr.ts';
import { lowerClaim } from '../../compiler/graph/formulas.ts';
import type { Named } from '../../compiler/spec/spec.ts';
import { type Comparison, compareTensors } from './compare.ts';
import { type Graphs, roundingOf, type Target, valuesOf } from './reference.ts';
import type { Sample } from './samples.ts';

export interface ClaimCheck extends Comparison {
  /** E.g. `gradients.x`. */
  readonly what: string;
  readonly details: string;
}

export const claimTolerance = 1e-9;

interface Claimed {
  readonly what: string;
  readonly derived: Target;
  readonly claim: Target;
}

/** The claims that mean something in this variant. */
export function claimsOf(graphs: Graphs): Claimed[] {
  const { forward, wrt } = graphs;
  const { entry } = forward;
  const returns = forward.returns.filter((output) => output.differentiable);
  const cotangents = returns.map(
    ({ name, axes }) => [`grad_${name}`, input('cotangent', name, axes)] as const,
  );
  const sole = cotangents.length === 1 ? [['grad', cotangents[0]![1]] as const] : [];
  const grads = new Map<string, Expr>([...cotangents, ...sole]);
  const tangents = new Map(wrt.map(({ name, axes }) => [`${name}_t`, input('tangent', name, axes)]));
  const second = new Map([
    ...grads,
    ...wrt.map(({ name, axes }) => [`v_${name}`, input('cotangent2', name, axes)] as const),
  ]);
  const pair = (
    section: string,
    claims: readonly Named[],
    targets: readonly Target[],
    extra: ReadonlyMap<string, Expr>,
  ) =>
    claims.flatMap((claim): Claimed[] => {
      const derived = targets.find(({ name }) => name === claim.name);
      if (!derived) return [];
      const expr = lowerClaim(claim, forward, extra);
      return [{ what: `${section}.${claim.name}`, derived, claim: { ...derived, expr } }];
    });
  return [
    ...pair('gradients', entry.gradients, graphs.gradients, grads),
    ...pair('tangents', entry.tangents, graphs.tangents, tangents),
    ...pair('second', entry.second, graphs.second, second),
  ];
}

export function checkClaims(graphs: Graphs, claims: readonly Claimed[], sample: Sample): ClaimCheck[] {
  return claims.map(({ what, derived, claim }) => {
    const [expected, found] = valuesOf(graphs, [derived, claim], sample) as [number[], number[]];
    let comparison = compareTensors(found, expected);
    if (comparison.error > claimTolerance) {
      const error = Math.max(...[derived, claim].map((target) => roundingOf(graphs, target, sample)));
      comparison = compareTensors(found, expected, (2 ** -53 * error) / claimTolerance);
    }
    const sizes = [...sample.sizes].map(([axis, size]) => `${axis} = ${size}`).join(', ');
    return { ...comparison, what, details: sizes };
  });
}
