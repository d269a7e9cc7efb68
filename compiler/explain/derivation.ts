/** The derivation of a variant as data: its forward, and each direction that is asked for. */
import { observed, type Step } from '../graph/build.ts';
import type { Expr } from '../graph/expr.ts';
import { type Forward, lowerEntry } from '../graph/formulas.ts';
import { differentiable } from '../schedule/program.ts';
import type { Entry, Variant } from '../spec/spec.ts';
import { namer, unique } from './algebra.ts';
import { backwardPart } from './backward.ts';
import { doubleBackwardPart } from './double-backward.ts';
import { jvpPart } from './jvp.ts';
import type { Basis, Explained, Part } from './part.ts';
import { constantReturns, type NamedValue, valuesOf } from './values.ts';

export interface Derivation {
  readonly entry: Entry;
  readonly variant: Variant;
  /** What the algebra did while the forward was built. */
  readonly forwardSteps: readonly Step[];
  readonly values: readonly NamedValue[];
  /** The returns that are not among them. */
  readonly constants: readonly NamedValue[];
  /** Writes an expression over the arguments in terms of named values. */
  readonly named: (e: Expr) => Expr;
  readonly parts: readonly Part[];
}

const makePart: { readonly [D in Explained]: (basis: Basis) => Part } = {
  backward: backwardPart,
  jvp: jvpPart,
  double_backward: doubleBackwardPart,
};

/** The arguments that can be differentiated by in a variant. */
export const wantable = (entry: Entry, variant: Variant): string[] =>
  differentiable(lowerEntry(entry, variant)).map(({ name }) => name);

/** Derives by the arguments in `wrt`, which are differentiable and given in this variant; others are held fixed. */
export function derive(
  entry: Entry,
  variant: Variant,
  wrt: readonly string[],
  directions: readonly Explained[] = ['backward'],
): Derivation {
  const built: Step[] = [];
  const whole = observed(
    (step) => void built.push(step),
    () => lowerEntry(entry, variant),
  );
  const values = valuesOf(whole);
  const isAll = differentiable(whole).every(({ name }) => wrt.includes(name));
  const forward = isAll ? whole : holding(whole, wrt);
  const basis: Basis = { forward, whole, values, wanted: differentiable(forward) };
  return {
    entry,
    variant,
    forwardSteps: unique(built),
    values,
    constants: constantReturns(whole),
    named: namer(values, whole.scope),
    parts: directions.map((direction) => makePart[direction](basis)),
  };
}

/** The same forward, differentiable by some arguments alone. */
function holding(forward: Forward, wrt: readonly string[]): Forward {
  const fixed = forward.entry.arguments.map((a) =>
    a.kind === 'tensor' && !wrt.includes(a.name) ? { ...a, differentiable: false } : a,
  );
  return { ...forward, entry: { ...forward.entry, arguments: fixed } };
}
