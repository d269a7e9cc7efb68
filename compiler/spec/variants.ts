/** What is decided at compile time: the variants of an entry, and conditions as far as a variant settles them. */
import Fraction from 'fraction.js';
import { exactFraction, exactPower, holds } from './numeral.ts';
import type { Entry, Formula, Variant } from './spec.ts';

type Choices = Pick<Entry, 'arguments' | 'together' | 'require'>;

/** More combinations than this are not enumerated. */
export const mostVariants = 4096;

/** The names that are decided together: a bool argument or an optional tensor alone, or tensors tied by `together`. */
export function choicesOf(entry: Omit<Choices, 'require'>): string[][] {
  const groups: string[][] = [];
  for (const argument of entry.arguments) {
    if (argument.kind === 'bool') groups.push([argument.name]);
    if (argument.kind !== 'tensor' || !argument.optional) continue;
    const tied = new Set([argument.name]);
    for (const name of tied) {
      for (const group of entry.together)
        if (group.includes(name)) for (const other of group) tied.add(other);
    }
    if (!groups.some((group) => group.includes(argument.name))) groups.push([...tied]);
  }
  return groups;
}

/**
 * Every combination of bool arguments and given optional tensors that `together` and `require` allow, in the order of
 * a binary number whose first digit is the first choice of the signature, true and given before false and not given.
 */
export function variantsOf(entry: Choices): Variant[] {
  const groups = choicesOf(entry);
  const bools = new Set(entry.arguments.flatMap(({ kind, name }) => (kind === 'bool' ? [name] : [])));
  const variants: Variant[] = [];
  const total = Math.min(2 ** groups.length, mostVariants);
  for (let n = 0; n < total; n++) {
    const flags = new Map<string, boolean>();
    const given = new Map<string, boolean>();
    for (const [i, group] of groups.entries()) {
      const value = ((n >> (groups.length - 1 - i)) & 1) === 0;
      for (const name of group) (bools.has(name) ? flags : given).set(name, value);
    }
    const variant = { flags, given };
    if (entry.require.every(({ that }) => staticTruth(that, variant) !== false)) variants.push(variant);
  }
  return variants;
}

/** Numbers that are known by name. */
export type Known = ReadonlyMap<string, Fraction>;
const nothing: Known = new Map();

/** What a condition is in a variant, or undefined if that depends on sizes, data or numbers that are not known. */
export function staticTruth(formula: Formula, variant: Variant, known = nothing): boolean | undefined {
  const truth = (part: Formula): boolean | undefined => staticTruth(part, variant, known);
  switch (formula.kind) {
    case 'true':
      return true;
    case 'false':
      return false;
    case 'name':
      return variant.flags.get(formula.name);
    case 'given':
      return variant.given.get(formula.name);
    case 'not': {
      const of = truth(formula.of);
      return of === undefined ? undefined : !of;
    }
    case 'and':
    case 'or':
      return junction(formula.kind === 'or', truth(formula.a), () => truth(formula.b));
    case 'select': {
      const test = truth(formula.test);
      if (test !== undefined) return truth(test ? formula.then : formula.else);
      const [a, b] = [truth(formula.then), truth(formula.else)];
      return a === b ? a : undefined;
    }
    case 'compare': {
      const a = staticNumber(formula.a, variant, known);
      const b = a && staticNumber(formula.b, variant, known);
      return a && b && holds(formula.operator, a, b);
    }
    default:
      return undefined;
  }
}

/** What a formula of numbers alone is, exactly; undefined if it is of something else, or no fraction. */
export function staticNumber(formula: Formula, variant: Variant, known = nothing): Fraction | undefined {
  const value = (part: Formula): Fraction | undefined => staticNumber(part, variant, known);
  switch (formula.kind) {
    case 'number':
      return exactFraction(formula.text);
    case 'name':
      return known.get(formula.name);
    case 'negate':
      return value(formula.of)?.neg();
    case 'sum':
      return formula.terms.reduce<Fraction | undefined>((total, { negative, of }) => {
        const term = total && value(of);
        return term && (negative ? total.sub(term) : total.add(term));
      }, new Fraction(0));
    case 'select': {
      const test = staticTruth(formula.test, variant, known);
      return test === undefined ? undefined : value(test ? formula.then : formula.else);
    }
    case 'multiply':
    case 'divide':
    case 'power':
    case 'binary': {
      const [a, b] = [value(formula.a), value(formula.b)];
      return a && b && combine[formula.kind === 'binary' ? formula.fn : formula.kind](a, b);
    }
    default:
      return undefined;
  }
}

type Combine = (a: Fraction, b: Fraction) => Fraction | undefined;

const combine: { readonly [fn in 'multiply' | 'divide' | 'power' | 'pow' | 'min' | 'max']: Combine } = {
  multiply: (a, b) => a.mul(b),
  divide: (a, b) => (b.n === 0n ? undefined : a.div(b)),
  power: exactPower,
  pow: exactPower,
  min: (a, b) => (a.compare(b) < 0 ? a : b),
  max: (a, b) => (a.compare(b) > 0 ? a : b),
};

/** `and` is settled by one false operand, `or` by one true one. */
function junction(
  settles: boolean,
  a: boolean | undefined,
  second: () => boolean | undefined,
): boolean | undefined {
  if (a === settles) return settles;
  const b = second();
  if (b === settles) return settles;
  return a === undefined ? undefined : b;
}

/** The names of the true flags and the given optional tensors, in the signature's order: `weight bias training`. */
export function variantKey(entry: Pick<Entry, 'arguments'>, variant: Variant): string {
  const isOn = (name: string): boolean =>
    variant.flags.get(name) === true || variant.given.get(name) === true;
  return entry.arguments.flatMap(({ name }) => (isOn(name) ? [name] : [])).join(' ');
}
