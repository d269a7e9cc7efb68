/** The vocabulary of formulas: functions, words that cannot be names, and what other notations are called here. */
import { reductions, unaryFunctions } from './spec.ts';

export const isUnary = (name: string): name is (typeof unaryFunctions)[number] =>
  (unaryFunctions as readonly string[]).includes(name);
export const isReduction = (name: string): name is (typeof reductions)[number] =>
  (reductions as readonly string[]).includes(name);

/** Every function that a formula can call, apart from entries. */
export const functionNames: readonly string[] = [
  ...unaryFunctions,
  ...reductions,
  'min',
  'max',
  'pow',
  'clamp',
  'count',
  'given',
  'stop_gradient',
];

/** Words that are operators, in these formulas or in mathjs's. */
export const operatorWords: readonly string[] = ['and', 'or', 'not', 'xor', 'mod', 'to', 'in'];

/** Words that neither a value nor an axis can be called. */
const unparsable = new Set([...operatorWords, 'true', 'false']);

/** What every object of JavaScript has, where callers of generated code pass tensors and numbers by name. */
const inherited: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype));

/** The type that is exported beside an entry. Not that of the interface that it extends. */
export function typesName(entry: string): string {
  const base = entry.replace(/(?:^|_)([a-z0-9])/gi, (_, c: string) => c.toUpperCase());
  return base === 'Op' ? 'Op_Types' : `${base}Types`;
}

/** Entries have folders, and in one of this name nobody looks for output. */
export const isReservedEntry = (name: string): boolean => inherited.has(name) || name === 'node_modules';
export const isReservedAxis = (name: string): boolean => unparsable.has(name) || inherited.has(name);

/** Where a word has a meaning already, so that no value can be called that. */
export function meaningOf(name: string): string | undefined {
  if (inherited.has(name)) return 'for objects of JavaScript';
  return unparsable.has(name) || name === 'pi' || name === 'e' ? 'in formulas' : undefined;
}

/** What to write instead of a notation that formulas do not have. */
export const instead: ReadonlyMap<string, string> = new Map([
  ['**', "write '^'"],
  ['.*', "write '*': it is elementwise"],
  ['./', "write '/': it is elementwise"],
  ['.^', "write '^': it is elementwise"],
  ['&&', "write 'and'"],
  ['&', "write 'and'"],
  ['||', "write 'or'"],
  ['|', "write 'or'"],
  ['!', "write 'not'"],
  ['===', "write '=='"],
  ['!==', "write '!='"],
  ['<>', "write '!='"],
  ['=', "write '==' to compare"],
  ['%', "a remainder is 'a - floor(a / b) * b'"],
  ['mod', "a remainder is 'a - floor(a / b) * b'"],
  ['xor', "write '(a and not b) or (not a and b)'"],
  ['[', "axes are named in reductions only, as in 'sum(x, n)'"],
  ['@', "a product of matrices is a sum over the axis they share, 'sum(a * b, k)'"],
  ["'", 'axes have names, so nothing is transposed'],
  ['"', 'formulas have no texts'],
  [';', 'each formula has its own name'],
  ['−', "write '-'"],
  ['×', "write '*'"],
  ['·', "write '*'"],
  ['÷', "write '/'"],
  ['≤', "write '<='"],
  ['≥', "write '>='"],
  ['≠', "write '!='"],
]);

export const allowedOperators = "+ - * / ^, comparisons, and, or, not, '?:', calls and parentheses";
