/** The formulas that a spec claims for derivatives: proved equal to the derivation, or refuted. */
import type { Forward } from '../../compiler/graph/formulas.ts';
import { type ClaimReport, checkVariantClaims } from '../../compiler/prove/claims.ts';
import type { Check } from './report.ts';

const sections = { gradient: 'gradients', tangent: 'tangents', second: 'second' };

/** One check a claim, e.g. of `gradients.x`. */
export const claimChecks = (forward: Forward): Omit<Check, 'op' | 'variant'>[] =>
  checkVariantClaims(forward).map((report) => ({
    what: `${sections[report.kind]}.${report.of}`,
    column: 'claim',
    tolerance: 1e-50,
    details: '',
    at: 0,
    found: 0,
    expected: 0,
    ...outcomeOf(report),
  }));

function outcomeOf({ result }: ClaimReport): Pick<Check, 'error' | 'verdict' | 'problem'> {
  switch (result.verdict) {
    case 'proved':
      return { error: 0, verdict: 'proved' };
    case 'agrees':
      return { error: 10 ** -result.digits, verdict: `agrees to ${result.digits} digits` };
    case 'undecided':
      return {
        error: Number.POSITIVE_INFINITY,
        verdict: 'undecided',
        problem: 'found no point where both the claim and the derivation have a value',
      };
    case 'refuted': {
      const { sizes, element, left, right } = result.difference;
      const problem = `refuted: element [${listed(element)}] at sizes ${listed(sizes)} is ${left} by derivation, ${right} by the claim`;
      return { error: Number.POSITIVE_INFINITY, verdict: 'refuted', problem };
    }
  }
}

const listed = (values: { readonly [axis: string]: number }): string =>
  Object.entries(values)
    .map(([axis, value]) => `${axis} = ${value}`)
    .join(', ');
