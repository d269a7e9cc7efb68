/** The derivation of a variant's gradients, as data: everything that the documents show, and nothing of how. */
import { type Axes, axesOf } from '../graph/axes.ts';
import { input, observed, type Step } from '../graph/build.ts';
import { type Expr, topological } from '../graph/expr.ts';
import { type Forward, lowerClaim, lowerEntry } from '../graph/formulas.ts';
import { areEqual, type Verdict } from '../prove/equal.ts';
import { cotangentsOf, differentiable } from '../schedule/program.ts';
import type { Entry, Named, Variant } from '../spec/spec.ts';
import { namer, simplified, unique } from './algebra.ts';
import { type Lemma, varianceLemma } from './lemma.ts';
import { type Plan, planOf } from './plan.ts';
import { type Reverse, reverseMode } from './reverse.ts';
import { type NamedValue, valuesOf } from './values.ts';

/** One wanted gradient. */
export interface Gradient {
  /** The argument. */
  readonly of: string;
  readonly axes: Axes;
  /** For this one alone: what does not lead to it is left out. */
  readonly reverse: Reverse;
  readonly steps: readonly Step[];
  /** The result of the algebra, over the arguments. */
  readonly expr: Expr;
  readonly plan: Plan;
  readonly claim?: Claim;
}

/** A formula that the spec claims for a gradient, and whether it is the derived one. */
export interface Claim {
  readonly named: Named;
  readonly verdict: Verdict;
}

export interface Derivation {
  readonly entry: Entry;
  readonly variant: Variant;
  readonly forward: Forward;
  /** What the algebra did while the forward was built. */
  readonly forwardSteps: readonly Step[];
  readonly values: readonly NamedValue[];
  /** Reverse mode for everything that is wanted, at once. */
  readonly reverse: Reverse;
  /** Writes an expression over the arguments in terms of named values. */
  readonly named: (e: Expr) => Expr;
  readonly lemma?: Lemma;
  readonly gradients: readonly Gradient[];
  /** For everything that is wanted, at once. */
  readonly plan: Plan;
}

/** The arguments that a gradient can be asked for in a variant. */
export const wantable = (entry: Entry, variant: Variant): string[] =>
  differentiable(lowerEntry(entry, variant)).map(({ name }) => name);

/** Derives the gradients for `wrt`, arguments that are differentiable and given in this variant. */
export function derive(entry: Entry, variant: Variant, wrt: readonly string[]): Derivation {
  const built: Step[] = [];
  const forward = observed(
    (step) => void built.push(step),
    () => lowerEntry(entry, variant),
  );
  const values = valuesOf(forward);
  const seeds = forward.returns.filter((output) => output.differentiable);
  const wanted = differentiable(forward).filter(({ name }) => wrt.includes(name));
  const reverse = reverseMode(
    values,
    seeds,
    wanted.map(({ node }) => node),
  );
  const outputs = cotangentsOf(forward).map(({ expr, ct }) => [expr, ct] as const);
  const gradients = wanted.map(({ name, axes, node }): Gradient => {
    const { gradient: expr, steps } = simplified(outputs, node);
    const claim = claimOn(name, axes, expr, forward);
    return {
      of: name,
      axes,
      reverse: reverseMode(values, seeds, [node]),
      steps,
      expr,
      plan: planOf(forward, [name]),
      ...(claim && { claim }),
    };
  });
  const lemma = lemmaFor(
    outputs.map(([expr]) => expr),
    wanted.map(({ node }) => node),
  );
  const plan = planOf(
    forward,
    wanted.map(({ name }) => name),
  );
  const named = namer(values, forward.scope);
  const forwardSteps = unique(built);
  return {
    entry,
    variant,
    forward,
    forwardSteps,
    values,
    reverse,
    named,
    ...(lemma && { lemma }),
    gradients,
    plan,
  };
}

/** About the first variance that a gradient flows through. */
function lemmaFor(outputs: readonly Expr[], wrt: readonly Expr[]): Lemma | undefined {
  const found = topological(outputs).find(
    (node) => node.op === 'var' && topological([node]).some((part) => wrt.includes(part)),
  );
  return found?.op === 'var' ? varianceLemma(found.x.axes, found.over) : undefined;
}

function claimOn(name: string, axes: Axes, derived: Expr, forward: Forward): Claim | undefined {
  const named = forward.entry.gradients.find((claim) => claim.name === name);
  if (!named) return undefined;
  const returns = forward.returns.filter((output) => output.differentiable);
  const cotangents = returns.map((r): [string, Expr] => [
    `grad_${r.name}`,
    input('cotangent', r.name, r.axes),
  ]);
  if (cotangents.length === 1) cotangents.push(['grad', cotangents[0]![1]]);
  return { named, verdict: areEqual(derived, lowerClaim(named, forward, new Map(cotangents)), axesOf(axes)) };
}
