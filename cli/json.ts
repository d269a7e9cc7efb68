/** JSON as requests have it: mistakes with their place, and NaN and infinities as strings. */
import { locate } from '../compiler/diagnostics.ts';
import { Failure } from './io.ts';

/** Parses a text; throws a `Failure` with line and column where it is not JSON. */
export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    const { at, expected } = findMistake(text);
    throw new Failure(`this is not JSON: expected ${expected}`, { file: name, ...locate(text, at) });
  }
}

class Mistake extends Error {
  constructor(
    readonly at: number,
    readonly expected: string,
  ) {
    super(expected);
  }
}

const scalar =
  /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/uy;
const word = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;

/** Where JSON's grammar first fails; V8's own messages have no positions. */
function findMistake(text: string): Mistake {
  let at = text.startsWith('\uFEFF') ? 1 : 0;
  const skip = (): void => {
    while (/[ \t\r\n]/.test(text[at] ?? '')) at++;
  };
  const take = (pattern: RegExp, expected: string): void => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) throw new Mistake(at, expected);
    at = pattern.lastIndex;
    skip();
  };
  const list = (close: string, item: () => void): void => {
    at++;
    skip();
    if (text[at] === close) {
      take(/./uy, close);
      return;
    }
    for (;;) {
      item();
      if (text[at] === close) break;
      take(/,/uy, `',' or '${close}'`);
    }
    take(/./uy, close);
  };
  const member = (): void => {
    take(word, 'a name in double quotes');
    take(/:/uy, "':'");
    value();
  };
  const value = (): void => {
    if (text[at] === '{') list('}', member);
    else if (text[at] === '[') list(']', value);
    else take(scalar, 'a value');
  };
  try {
    skip();
    value();
    return new Mistake(at, 'nothing more');
  } catch (error) {
    return error instanceof Mistake ? error : new Mistake(0, 'less nesting');
  }
}

const special: { readonly [text: string]: number } = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

/** A number, or one of the strings that stand for one; undefined for anything else. */
export function readNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && Object.hasOwn(special, value) ? special[value] : undefined;
}

/** What JSON can hold in place of a number. */
export const writeNumber = (value: number): number | string =>
  Number.isFinite(value) ? value : String(value);
