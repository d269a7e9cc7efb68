/** Every code a mistake in a spec can have, and the function that collects them. */
import type { Diagnostic, Span } from '../diagnostics.ts';

export const codes = {
  yaml: 'the file is not YAML, or not one document',
  'not-a-list': 'the top level is not a list of entries',
  'wrong-type': 'a value is not of the kind that its key takes',
  'unknown-key': 'a key that entries do not have',
  'missing-key': 'a key that must be there is not',
  'duplicate-key': 'a key is there twice',
  'too-many-aliases': 'aliases repeat too much of the file',
  'too-deep': 'something is nested too deeply, or too long, to compile',
  'bad-signature': 'the signature does not follow its grammar',
  'unknown-type': 'an argument type that signatures do not have',
  'bad-default': 'a default that its type cannot have',
  'duplicate-entry': 'two entries have one name, or one but for capital letters, or export one',
  'duplicate-name': 'one name is given to two things',
  'duplicate-axis': 'one axis is named twice where that means nothing',
  'reserved-name': 'a name that formulas or calls could not refer to',
  'axis-kind':
    'an axis is a fold in one place and a plain axis in another, or what cannot be its size has its name',
  'ambiguous-fold': 'the ranks of two folds cannot be told apart',
  'uninferable-axis': 'the size of an axis is known from no argument',
  syntax: 'a formula does not follow its grammar',
  unsupported: 'an operator or notation that formulas do not have',
  'implicit-multiplication': 'two operands side by side',
  'chained-comparison': 'a comparison of a comparison',
  'unknown-name': 'a name that nothing in scope has',
  'unknown-function': 'a call of neither a function nor an entry',
  'unknown-axis': 'an axis that the entry does not have',
  arity: 'a function has too few or too many arguments',
  'type-mismatch': 'a condition where a number belongs, or a number where a condition belongs',
  'axis-mismatch': 'axes that do not fit their place',
  'missing-axis': 'a reduction over an axis that its operand lacks',
  'undefined-return': 'a return that no formula defines',
  'not-yet-defined': 'a name read before the formula that defines it',
  'call-order': 'a call of an entry that is not an earlier one',
  'unknown-argument': 'an argument that the called entry does not have',
  'missing-argument': 'an argument that the called entry needs',
  'static-argument': 'a bool argument that is not known at compile time',
  'not-optional': 'a tensor that must be optional here, and is not',
  'not-state': 'an update of something that is not state',
  'not-differentiable': 'a gradient of, or a claim about, something that has none',
  'absent-read': 'a tensor without an absent value is read where it is not given',
  'bad-condition': 'a requirement that cannot be checked before the call',
  'bad-layout': 'a layout is not a permutation of the axes',
  'wrong-length': 'a list does not have one item for each return',
  'no-variant': 'the requirements leave no variant',
  'too-many-variants': 'the compile-time choices have too many combinations',
} as const;

export type Code = keyof typeof codes;

/** Records a mistake. */
export type Report = (code: Code, span: Span, message: string, hint?: string) => void;

/** A list of diagnostics and the function that adds to it; the same mistake at the same place is kept once. */
export function collector(): { readonly diagnostics: Diagnostic[]; readonly report: Report } {
  const diagnostics: Diagnostic[] = [];
  const seen = new Set<string>();
  const report: Report = (code, span, message, hint) => {
    const key = `${code} ${span.start} ${span.end} ${message}`;
    if (seen.has(key)) return;
    seen.add(key);
    diagnostics.push(hint === undefined ? { code, span, message } : { code, span, message, hint });
  };
  return { diagnostics, report };
}

/** A word of the user's, in quotes and not too long. */
export const quoted = (word: string): string => `'${word.length > 60 ? `${word.slice(0, 57)}…` : word}'`;

/** Words of the user's, in quotes. */
export const listed = (words: Iterable<string>): string => [...words].map(quoted).join(', ') || 'none';

/** "did you mean 'x'?" when a candidate is close enough to be meant. */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const found = closest(word, candidates);
  return found === undefined ? undefined : `did you mean ${quoted(found)}?`;
}

/** A spec of thousands of names is not searched whole for each mistake. */
const mostCandidates = 300;

/** The candidate at the smallest edit distance, if that is at most a third of the word's length (at least one). */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > 64) return undefined;
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 0.5;
  let looked = 0;
  for (const candidate of candidates) {
    looked += 1;
    if (looked > mostCandidates) break;
    if (Math.abs(candidate.length - word.length) > least) continue;
    if (candidate.length > 64 || candidate === word) continue;
    const sameButCase = candidate.toLowerCase() === word.toLowerCase();
    const distance = sameButCase ? 0.25 : editDistance(word, candidate);
    if (distance < least && distance < Math.max(word.length, candidate.length)) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** Levenshtein's distance, with a swap of neighbours as one edit. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
