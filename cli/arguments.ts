/** Reads the arguments of a command by its description. */
import { parseArgs } from 'node:util';
import { didYouMean, listed, quoted } from '../compiler/spec/codes.ts';
import { type Run, UsageError } from './io.ts';

export interface Option {
  readonly name: string;
  /** What its value is called, e.g. `DIR`; a switch has none. */
  readonly value?: string;
  /** An empty value means something. */
  readonly mayBeEmpty?: true;
  readonly summary: string;
}

export interface Command {
  readonly name: string;
  /** Its arguments, as the usage line shows them. */
  readonly operands: string;
  /** How many operands it takes. */
  readonly least: number;
  readonly most: number;
  readonly summary: string;
  readonly details: string;
  readonly options: readonly Option[];
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** Loads what the command needs, which the others need not wait for. */
  readonly load: () => Promise<Run>;
}

export interface Values {
  readonly operands: readonly string[];
  /** Values by option; a switch is '' where it is set. */
  readonly options: ReadonlyMap<string, string>;
}

/** Throws a `UsageError` that says what was expected. */
export function readArguments(command: Command, argv: readonly string[]): Values {
  const known = [...command.options, ...commonOptions];
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries([
      ...known.map(({ name, value }) => [name, { type: value ? 'string' : 'boolean' }] as const),
      ['help', { type: 'boolean', short: 'h' }] as const,
    ]),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const operands: string[] = [];
  const options = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const option = known.find(({ name }) => name === token.name);
    if (!option) throw unknownOption(command, token.rawName, known);
    options.set(option.name, readValue(option, token.value));
  }
  if (options.has('help')) return { operands, options };
  const { name, least, most } = command;
  if (operands.length < least) throw new UsageError(`${name} needs ${command.operands}`);
  if (operands.length > most)
    throw new UsageError(
      `${name} takes ${most === 1 ? 'one argument' : `${most} arguments`}, not also ${listed(operands.slice(most))}`,
    );
  return { operands, options };
}

export const commonOptions: readonly Option[] = [{ name: 'help', summary: 'show this' }];

function readValue({ name, value: expected, mayBeEmpty }: Option, given: string | undefined): string {
  if (!expected) {
    if (given !== undefined) throw new UsageError(`--${name} takes no value`);
    return '';
  }
  // What follows an option without its value is likely the next option.
  if (given === undefined || (given === '' && !mayBeEmpty) || /^--\w/.test(given))
    throw new UsageError(`--${name} needs a value: --${name} ${expected}`);
  return given;
}

function unknownOption(command: Command, raw: string, known: readonly Option[]): UsageError {
  const names = known.map(({ name }) => `--${name}`);
  const hint = didYouMean(raw, names) ?? `it takes ${names.join(', ')}`;
  return new UsageError(`${command.name} has no option ${quoted(raw)}; ${hint}`);
}

/** One of several words. */
export function oneOf<W extends string>(what: string, word: string, words: readonly W[]): W {
  const found = words.find((candidate) => candidate === word);
  if (found !== undefined) return found;
  const hint = didYouMean(word, words);
  throw new UsageError(`unknown ${what} ${quoted(word)}; ${hint ?? `expected ${listed(words)}`}`);
}

/** A list of words with commas between them, each once, in the order of `words`; all of them where none is given. */
export function someOf<W extends string>(what: string, list: string | undefined, words: readonly W[]): W[] {
  const asked = list?.split(',').map((word) => oneOf(what, word.trim(), words));
  return words.filter((word) => asked?.includes(word) ?? true);
}
