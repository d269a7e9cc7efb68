/** The rewrites of one run of reverse mode over the normal form, in the order in which they were made. */
import { observed, type Step } from '../graph/build.ts';
import { vjp } from '../graph/differentiate.ts';
import type { Expr } from '../graph/expr.ts';
import { cut, finish } from '../graph/rebuild.ts';
import { type NamedValue, spelledOut } from './values.ts';

/** The gradient of Σ ⟨cotangent, output⟩, and what the algebra did to reach it. */
export function simplified(
  outputs: readonly (readonly [Expr, Expr])[],
  wrt: Expr,
): { readonly gradient: Expr; readonly steps: readonly Step[] } {
  const steps: Step[] = [];
  const [gradient] = observed(
    (step) => void steps.push(step),
    () => vjp(outputs, [wrt]),
  );
  return { gradient: gradient!, steps: unique(steps) };
}

/** Each rewrite once, where it is made first. */
export function unique(steps: readonly Step[], seen = new Set<string>()): Step[] {
  return steps.flatMap((step) => {
    const key = `${step.rule} ${step.before.id} ${step.after.id}`;
    if (seen.has(key)) return [];
    seen.add(key);
    return [{ ...step, inner: unique(step.inner, seen) }];
  });
}

/** Every step, those inside others after them. */
export const allSteps = (steps: readonly Step[]): Step[] =>
  steps.flatMap((step) => [step, ...allSteps(step.inner)]);

/** Writes expressions over the arguments in terms of named values, wherever those stand in them as a whole. */
export function namer(values: readonly NamedValue[], scope: ReadonlyMap<string, Expr>): (e: Expr) => Expr {
  const names = new Map<Expr, Expr>();
  for (const value of values) {
    const whole = scope.get(value.name) ?? spelledOut([value.expr], values)[0]!;
    const [known] = finish([whole]);
    if (known!.op !== 'input' && !names.has(known!)) names.set(known!, value.node);
  }
  return (e) => cut(finish([e]), (part) => names.get(part))[0]!;
}
