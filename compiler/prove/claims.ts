/** What the author of a spec claims, proved equal to the derivation or refuted. */
import { axesOf } from '../graph/axes.ts';
import { input } from '../graph/build.ts';
import type { Expr } from '../graph/expr.ts';
import { type Forward, lowerClaim, lowerEntry } from '../graph/formulas.ts';
import { differentiable, gradientsOf, secondOf, tangentsOf } from '../schedule/program.ts';
import type { Entry, Named } from '../spec/spec.ts';
import { variantKey, variantsOf } from '../spec/variants.ts';
import { areEqual, type Verdict } from './equal.ts';

export interface ClaimReport {
  readonly op: string;
  readonly variant: string;
  readonly kind: 'gradient' | 'tangent' | 'second';
  /** The argument or return it is about; in `second`, `grad_NAME` for the cotangent of a return. */
  readonly of: string;
  readonly axes: readonly string[];
  readonly result: Verdict;
}

/** Every claim of an entry in every variant where its tensor is given. */
export const checkClaims = (entry: Entry): ClaimReport[] =>
  variantsOf(entry).flatMap((variant) => checkVariantClaims(lowerEntry(entry, variant)));

/** The claims that mean something in one variant. */
export function checkVariantClaims(forward: Forward): ClaimReport[] {
  const { entry, variant } = forward;
  const cotangents = cotangentNames(forward);
  const wrt = differentiable(forward);
  const report = (
    kind: ClaimReport['kind'],
    claim: Named,
    derived: Derived,
    names: ReadonlyMap<string, Expr>,
  ): ClaimReport => ({
    op: entry.name,
    variant: variantKey(entry, variant),
    kind,
    of: claim.name,
    axes: derived.axes,
    result: areEqual(derived.expr, lowerClaim(claim, forward, names), axesOf(derived.axes)),
  });
  const about = (
    kind: ClaimReport['kind'],
    claims: readonly Named[],
    derive: () => ReadonlyMap<string, Derived>,
    names: ReadonlyMap<string, Expr>,
  ): ClaimReport[] => {
    if (claims.length === 0) return [];
    const derived = derive();
    // a tensor that is not given has no gradient to claim
    return claims.flatMap((claim) =>
      derived.has(claim.name) ? [report(kind, claim, derived.get(claim.name)!, names)] : [],
    );
  };
  const axes = new Map(
    entry.arguments.flatMap((a) => (a.kind === 'tensor' ? [[a.name, a.axes] as const] : [])),
  );
  for (const r of entry.returns) if (!axes.has(r.name)) axes.set(r.name, r.axes);
  const withAxes = (exprs: ReadonlyMap<string, Expr>): Map<string, Derived> =>
    new Map([...exprs].map(([name, expr]) => [name, { expr, axes: axes.get(name)! }]));

  const tangentNames = new Map(wrt.map(({ name, axes }) => [`${name}_t`, input('tangent', name, axes)]));
  const secondNames = new Map([
    ...cotangents,
    ...wrt.map(({ name, axes }) => [`v_${name}`, input('cotangent2', name, axes)] as const),
  ]);
  return [
    ...about('gradient', entry.gradients, () => withAxes(gradientsOf(forward)), cotangents),
    ...about('tangent', entry.tangents, () => withAxes(tangentsOf(forward)), tangentNames),
    ...about('second', entry.second, () => secondDerived(forward), secondNames),
  ];
}

interface Derived {
  readonly expr: Expr;
  readonly axes: readonly string[];
}

function secondDerived(forward: Forward): Map<string, Derived> {
  const wrt = differentiable(forward);
  const { grads, inputs } = secondOf(
    forward,
    wrt.map(({ name }) => name),
  );
  const derived = new Map<string, Derived>();
  for (const { name, axes } of forward.returns) {
    if (grads.has(name)) derived.set(`grad_${name}`, { expr: grads.get(name)!, axes });
  }
  for (const { name, axes } of wrt) derived.set(name, { expr: inputs.get(name)!, axes });
  return derived;
}

/** `grad_NAME` of every differentiable return, and `grad` where there is one. */
function cotangentNames({ returns }: Forward): Map<string, Expr> {
  const cotangents = returns.filter(({ differentiable }) => differentiable);
  const names = new Map(cotangents.map(({ name, axes }) => [`grad_${name}`, input('cotangent', name, axes)]));
  const [only, ...others] = cotangents;
  if (only && others.length === 0) names.set('grad', input('cotangent', only.name, only.axes));
  return names;
}
