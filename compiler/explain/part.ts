/** One direction of a derivation, as data: everything that the documents show of it, and nothing of how. */
import type { Axes } from '../graph/axes.ts';
import type { Step } from '../graph/build.ts';
import type { Expr } from '../graph/expr.ts';
import type { Forward } from '../graph/formulas.ts';
import { type ClaimReport, checkVariantClaims } from '../prove/claims.ts';
import type { Verdict } from '../prove/equal.ts';
import type { Differentiable } from '../schedule/program.ts';
import type { Named } from '../spec/spec.ts';
import type { Flow } from './flow.ts';
import type { TangentLine } from './forward-mode.ts';
import type { Lemma } from './lemma.ts';
import type { Plan } from './plan.ts';
import type { Cotangent } from './reverse.ts';
import type { NamedValue } from './values.ts';

/** The directions that can be explained, in the order in which they are shown. */
export const explained = ['backward', 'jvp', 'double_backward'] as const;
export type Explained = (typeof explained)[number];

/** What every direction of a variant starts from. */
export interface Basis {
  /** With the arguments that are held fixed not differentiable. */
  readonly forward: Forward;
  /** The forward as it is, with everything that its spec claims. */
  readonly whole: Forward;
  readonly values: readonly NamedValue[];
  /** What is differentiated by. */
  readonly wanted: readonly Differentiable[];
}

/** One tensor that a direction computes. */
export interface Result {
  /** What it is called, e.g. dx. */
  readonly name: string;
  /** The argument or return it belongs to, e.g. x. */
  readonly of: string;
  readonly axes: Axes;
  /** By hand, for this one alone: what does not lead to it is left out. */
  readonly flow: Flow;
  /** Whether there is any way from it to what is differentiated. */
  readonly isReached: boolean;
  readonly steps: readonly Step[];
  /** What the algebra comes to, over the arguments. */
  readonly expr: Expr;
  readonly plan: Plan;
  readonly claim?: Claim;
}

/** A formula that the spec claims, and whether it is the derived one. */
export interface Claim {
  readonly named: Named;
  readonly verdict: Verdict;
}

export interface Part {
  readonly direction: Explained;
  /** The formulas that are differentiated, where those are not the forward's. */
  readonly start: readonly NamedValue[];
  /** What the caller hands in: grad_y, of y. */
  readonly handed: readonly { readonly name: string; readonly of: string }[];
  /** The derivation by hand, for all results at once. */
  readonly lines: readonly (Cotangent | TangentLine)[];
  readonly lemma?: Lemma;
  readonly results: readonly Result[];
  /** For all results at once; nothing where there are none. */
  readonly plan?: Plan;
}

const sections = { gradient: 'gradients', tangent: 'tangents', second: 'second' } as const;

/**
 * The claim on one derivative. Claims on tangents and on the double backward speak of all arguments at once, so they
 * say nothing where some are held fixed.
 */
export function claimOn(kind: ClaimReport['kind'], of: string, { forward, whole }: Basis): Claim | undefined {
  const section = sections[kind];
  const named = whole.entry[section].find((claim) => claim.name === of);
  if (!named || (kind !== 'gradient' && forward !== whole)) return undefined;
  const alone = { gradients: [], tangents: [], second: [], [section]: [named] };
  const [report] = checkVariantClaims({ ...whole, entry: { ...whole.entry, ...alone } });
  return report && { named, verdict: report.result };
}
