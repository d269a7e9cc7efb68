/** Cuts a formula into tokens, refusing the notations of mathjs that formulas do not have. */
import { quoted, type Report } from './codes.ts';
import type { Passage } from './passage.ts';
import { allowedOperators, instead, operatorWords } from './words.ts';

export interface Token {
  readonly kind: 'name' | 'number' | 'operator';
  readonly text: string;
  /** Offsets into the passage. */
  readonly start: number;
  readonly end: number;
}

const space = /\s+/y;
const name = /[A-Za-z_][A-Za-z0-9_]*/y;
const number = /(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/y;
const operator = /[<>=!]=(?!=)|[-+*/^(),?:{}<>]/y;
/** What other languages have for numbers: of another base, with separators, with an exponent to come. */
const strangeNumber =
  /0[xX][0-9A-Fa-f]+\b|0[bB][01]+\b|0[oO][0-7]+\b|\d+(?:_\d+)+\b|(?:\d+\.?\d*|\.\d+)e(?![-+]?\d|\w)/y;
const quotation = /'[^']*'|"[^"]*"/y;
const foreign = /===|!==|<>|\*\*|\.[*/^]|&&|\|\||[\p{L}\p{M}\p{N}_$]+|[\s\S]/uy;
const words = new Set(operatorWords);
const logic = new Set(['and', 'or', 'not']);

/** The tokens, or undefined if something was reported. */
export function tokenize(passage: Passage, report: Report): Token[] | undefined {
  const { text } = passage;
  const tokens: Token[] = [];
  let sound = true;
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  while (at < text.length) {
    const blank = take(space);
    if (blank !== undefined) {
      at += blank.length;
      continue;
    }
    const found = read(take, isOperand(tokens.at(-1)));
    const end = at + found.text.length;
    const refused =
      found.kind === 'foreign' ||
      (found.kind === 'operator' && words.has(found.text) && !logic.has(found.text));
    if (refused) {
      sound = false;
      refuse(found.text, isOperand(tokens.at(-1)), passage.span(at, end), report);
    } else {
      tokens.push({ kind: found.kind as Token['kind'], text: found.text, start: at, end });
    }
    at = end;
  }
  return sound ? tokens : undefined;
}

/** Whether an operator may come next. */
export const isOperand = (token: Token | undefined): boolean =>
  token !== undefined && (token.kind !== 'operator' || token.text === ')' || token.text === '}');

function read(
  take: (pattern: RegExp) => string | undefined,
  afterOperand: boolean,
): { kind: Token['kind'] | 'foreign'; text: string } {
  const refused = take(strangeNumber) ?? (afterOperand ? undefined : take(quotation));
  if (refused !== undefined) return { kind: 'foreign', text: refused };
  const stranger = take(foreign) ?? '';
  const word = take(name);
  // A name that goes on with letters which names do not have is refused whole.
  if (word !== undefined && stranger.length <= word.length) {
    return { kind: words.has(word) ? 'operator' : 'name', text: word };
  }
  const digits = take(number);
  if (digits !== undefined) return { kind: 'number', text: digits };
  const sign = take(operator);
  if (sign !== undefined && sign.length >= stranger.length) return { kind: 'operator', text: sign };
  return { kind: 'foreign', text: stranger };
}

function refuse(text: string, afterOperand: boolean, span: Passage['whole'], report: Report): void {
  const inner = /^['"](.*)['"]$/s.exec(text)?.[1];
  if (inner !== undefined) {
    const hint = isName(inner) ? `write ${inner}, without quotes` : undefined;
    report('unsupported', span, 'formulas have no texts', hint);
  } else if (/^\.?\d/.test(text) && !words.has(text)) {
    report('syntax', span, `${quoted(text)} is not a number`, numberHint(text));
  } else if (/^[\p{L}\p{M}\p{N}_$]/u.test(text) && !words.has(text)) {
    const hint = 'names are made of the letters a to z, digits and _';
    report('syntax', span, `${quoted(text)} is not a name`, hint);
  } else {
    const known = text === '!' && afterOperand ? 'they have no factorials' : instead.get(text);
    report('unsupported', span, `formulas have no ${quoted(text)}`, known ?? `they have ${allowedOperators}`);
  }
}

const isName = (text: string): boolean => /^[A-Za-z_]\w*$/.test(text);

function numberHint(text: string): string {
  if (text.endsWith('e')) return "an exponent belongs after the 'e', as in '1e-5'";
  return `write '${Number(text.replaceAll('_', ''))}'`;
}
