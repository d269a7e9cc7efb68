/** Formulas as they are shown: one tree for terminal, LaTeX and MathML, whatever it was made from. */
import type { ReductionFunction } from '../spec/spec.ts';

export interface SignedTerm {
  readonly minus: boolean;
  readonly of: Notation;
}

export type Notation =
  | { readonly is: 'name'; readonly text: string }
  | { readonly is: 'number'; readonly text: string }
  /** The number of elements over some axes. */
  | { readonly is: 'count'; readonly axes: readonly string[] }
  | { readonly is: 'sum'; readonly terms: readonly SignedTerm[] }
  | { readonly is: 'product'; readonly factors: readonly Notation[] }
  | { readonly is: 'fraction'; readonly above: Notation; readonly below: Notation }
  | { readonly is: 'power'; readonly base: Notation; readonly exponent: Notation }
  | { readonly is: 'root'; readonly of: Notation }
  /** `keywords` are those of the last arguments. */
  | {
      readonly is: 'call';
      readonly fn: string;
      readonly args: readonly Notation[];
      readonly keywords?: readonly string[];
    }
  | {
      readonly is: 'reduce';
      readonly fn: ReductionFunction;
      readonly of: Notation;
      readonly over: readonly string[];
    }
  | { readonly is: 'relation'; readonly operator: string; readonly a: Notation; readonly b: Notation }
  | { readonly is: 'not'; readonly of: Notation }
  | { readonly is: 'choice'; readonly test: Notation; readonly then: Notation; readonly else: Notation };

export type Kind<K extends Notation['is']> = Extract<Notation, { is: K }>;

export const nameNotation = (text: string): Notation => ({ is: 'name', text });
export const numberNotation = (text: string): Notation => ({ is: 'number', text });

/** The arguments of a call, with and without keywords. */
export function argumentsOf({ args, keywords = [] }: Kind<'call'>): {
  readonly plain: readonly Notation[];
  readonly named: readonly (readonly [keyword: string, value: Notation])[];
} {
  const first = args.length - keywords.length;
  return { plain: args.slice(0, first), named: keywords.map((keyword, i) => [keyword, args[first + i]!]) };
}

/** Terms with their signs; one positive term is itself. */
export function sumOf(terms: readonly SignedTerm[]): Notation {
  const [first] = terms;
  if (!first) return numberNotation('0');
  return terms.length === 1 && !first.minus ? first.of : { is: 'sum', terms };
}

/** The parts of an expression, in the order they are written. */
export function partsOf(n: Notation): readonly Notation[] {
  switch (n.is) {
    case 'name':
    case 'number':
    case 'count':
      return [];
    case 'sum':
      return n.terms.map(({ of }) => of);
    case 'product':
      return n.factors;
    case 'fraction':
      return [n.above, n.below];
    case 'power':
      return [n.base, n.exponent];
    case 'call':
      return n.args;
    case 'relation':
      return [n.a, n.b];
    case 'choice':
      return [n.test, n.then, n.else];
    default:
      return [n.of];
  }
}

/** The same notation with other parts, in the order of `partsOf`. */
export function withParts(n: Notation, parts: readonly Notation[]): Notation {
  const [a, b, c] = parts as [Notation, Notation, Notation];
  switch (n.is) {
    case 'name':
    case 'number':
    case 'count':
      return n;
    case 'sum':
      return { is: 'sum', terms: n.terms.map(({ minus }, i) => ({ minus, of: parts[i]! })) };
    case 'product':
      return { is: 'product', factors: parts };
    case 'fraction':
      return { is: 'fraction', above: a, below: b };
    case 'power':
      return { is: 'power', base: a, exponent: b };
    case 'call':
      return { ...n, args: parts };
    case 'relation':
      return { ...n, a, b };
    case 'choice':
      return { is: 'choice', test: a, then: b, else: c };
    default:
      return { ...n, of: a };
  }
}

/** [t]·e, which is e where t holds and 0 elsewhere. */
export const isMasked = (n: Kind<'choice'>): boolean => n.else.is === 'number' && n.else.text === '0';

/** Whether what follows would be read as a part of it: it ends in a big operator, behind a mask or not. */
function endsOpen(n: Notation): boolean {
  if (n.is === 'reduce') return isBig(n.fn);
  if (n.is === 'choice') return isMasked(n) && endsOpen(n.then);
  if (n.is === 'product') return endsOpen(n.factors.at(-1)!);
  return false;
}

/** Whether it needs parentheses as a term. What reaches as far as it can does where something follows. */
export const isWeakTerm = (n: Notation, isLast: boolean): boolean =>
  n.is === 'sum' || n.is === 'relation' || (!isLast && endsOpen(n));

/** Whether it needs parentheses as a factor. A big operator needs none where it is the last. */
export function isWeakFactor(n: Notation, isLast: boolean): boolean {
  const isMask = n.is === 'choice' && isMasked(n);
  const isWeak = n.is === 'sum' || n.is === 'relation' || n.is === 'not' || (n.is === 'choice' && !isMask);
  return isWeak || (!isLast && endsOpen(n));
}

/** Whether it needs parentheses below a big operator. */
export const isWeakBelow = (n: Notation): boolean =>
  n.is === 'sum' || n.is === 'relation' || n.is === 'choice';

/** Whether a reduction is written by a big operator instead of by its name. */
export const isBig = (fn: ReductionFunction): fn is 'sum' | 'prod' => fn === 'sum' || fn === 'prod';

/** Whether it is written by one name or number. */
export const isShort = (n: Notation): boolean => n.is === 'name' || n.is === 'number' || n.is === 'count';

/**
 * Builds coefficient × Π above / Π below, with a unit numerator only where nothing else is above. Signs belong to the
 * caller.
 */
export function quotientOf(above: readonly Notation[], below: readonly Notation[]): Notation {
  const top = productOf(above);
  return below.length === 0 ? top : { is: 'fraction', above: top, below: productOf(below) };
}

export function productOf(factors: readonly Notation[]): Notation {
  const [first] = factors;
  if (!first) return numberNotation('1');
  return factors.length === 1 ? first : { is: 'product', factors };
}

export const powerOf = (base: Notation, exponent: string): Notation => {
  if (exponent === '1') return base;
  if (exponent === '1/2') return { is: 'root', of: base };
  const [above, below] = exponent.split('/');
  const shown: Notation = below
    ? { is: 'fraction', above: numberNotation(above!), below: numberNotation(below) }
    : numberNotation(exponent);
  return { is: 'power', base, exponent: shown };
};
