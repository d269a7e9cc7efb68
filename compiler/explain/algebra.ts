/** The rewrites of one derivation over the normal form, in the order in which they were made. */
import { observed, type Step } from '../graph/build.ts';
import type { Expr } from '../graph/expr.ts';
import { cut, finish } from '../graph/rebuild.ts';
import { type NamedValue, spelledOut } from './values.ts';

export interface Recorded {
  readonly result: Expr;
  /** What the algebra did to reach it. */
  readonly steps: readonly Step[];
}

/** Runs a derivation and keeps the rewrites it caused. */
export function recorded(derivation: () => Expr): Recorded {
  const steps: Step[] = [];
  const result = observed((step) => void steps.push(step), derivation);
  return { result, steps: unique(steps) };
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

/**
 * Writes expressions over the arguments in terms of named values, wherever those stand in them as a whole. `form` is
 * what both are brought into first: finished, unless they are to be differentiated again.
 */
export function namer(
  values: readonly NamedValue[],
  scope: ReadonlyMap<string, Expr>,
  form: (roots: readonly Expr[]) => Expr[] = finish,
): (e: Expr) => Expr {
  const names = new Map<Expr, Expr>();
  for (const value of values) {
    const whole = scope.get(value.name) ?? spelledOut([value.expr], values)[0]!;
    const [known] = form([whole]);
    if (known!.op !== 'input' && !names.has(known!)) names.set(known!, value.node);
  }
  return (e) => cut(form([e]), (part) => names.get(part))[0]!;
}
