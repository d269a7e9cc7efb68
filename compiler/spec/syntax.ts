/** Parses a formula's text into a tree with exact positions, before names mean anything. */
import type { MathNode } from 'mathjs/lib/browser/math.js';
import type { Span } from '../diagnostics.ts';
import { quoted, type Report } from './codes.ts';
import { convert } from './convert.ts';
import { isParsable } from './nesting.ts';
import { parseExpression } from './parser.ts';
import type { Passage } from './passage.ts';
import type { Comparison } from './spec.ts';
import { type Token, tokenize } from './tokens.ts';

/** A formula as parsed: like `Formula`, but names, functions and entries are not looked up yet. */
export type Syntax = { readonly span: Span } & (
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'sum'; readonly terms: readonly Signed[] }
  | { readonly kind: 'multiply' | 'divide' | 'power' | 'and' | 'or'; readonly a: Syntax; readonly b: Syntax }
  | { readonly kind: 'compare'; readonly operator: Comparison; readonly a: Syntax; readonly b: Syntax }
  | { readonly kind: 'negate' | 'not'; readonly of: Syntax }
  | { readonly kind: 'select'; readonly test: Syntax; readonly then: Syntax; readonly else: Syntax }
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly nameSpan: Span;
      readonly args: readonly Syntax[];
    }
  | { readonly kind: 'keywords'; readonly fields: readonly Keyword[] }
);

export interface Signed {
  readonly negative: boolean;
  readonly of: Syntax;
}

export interface Keyword {
  readonly name: string;
  readonly nameSpan: Span;
  readonly value: Syntax;
}

/** The tree, or undefined if something was reported. */
export function parseSyntax(passage: Passage, reportOne: Report): Syntax | undefined {
  let sound = true;
  const report: Report = (...mistake) => {
    sound = false;
    reportOne(...mistake);
  };
  try {
    const tokens = tokenize(passage, report);
    if (!tokens || !isParsable(tokens, passage, report)) return undefined;
    const tree = parseTokens(tokens, passage, report);
    const found = tree && convert(tree, { tokens, passage, report });
    return sound ? found?.syntax : undefined;
  } catch (error) {
    // The measure above keeps well below any usual stack; a smaller one must not show either.
    if (!(error instanceof RangeError)) throw error;
    report('too-deep', passage.whole, 'this formula is nested too deeply');
    return undefined;
  }
}

/**
 * mathjs's nodes have no positions. So it is given, for each name and number, the token's index: `x * 2` as `t0 * 2`,
 * where the 2 is an index again. Every leaf of its tree then says which token it is.
 */
function parseTokens(tokens: readonly Token[], passage: Passage, report: Report): MathNode | undefined {
  const starts: number[] = [];
  let text = '';
  for (const [i, token] of tokens.entries()) {
    starts.push(text.length);
    text += `${token.kind === 'name' ? `t${i}` : token.kind === 'number' ? i : token.text} `;
  }
  try {
    return parseExpression(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const char = (error as SyntaxError & { char?: number }).char ?? 1;
    const at = starts.findIndex((start) => start >= char - 1);
    reportSyntax(error.message, tokens[at], tokens.at(-1), passage, report);
    return undefined;
  }
}

/** mathjs's message in the spec's words: its own would name the stand-ins. */
function reportSyntax(
  message: string,
  token: Token | undefined,
  last: Token | undefined,
  passage: Passage,
  report: Report,
) {
  const span = token
    ? passage.span(token.start, token.end)
    : last
      ? passage.span(last.end - 1, last.end)
      : passage.whole;
  const found = token ? `unexpected ${quoted(token.text)}` : 'the formula ends too early';
  const expected = expectations.find(([part]) => message.includes(part))?.[1];
  report('syntax', span, expected ? `${found}: ${expected}` : found);
}

const expectations: readonly (readonly [string, string])[] = [
  ['Value expected', 'a value belongs here'],
  ['Unexpected end', 'a value belongs here'],
  ['Parenthesis )', "')' belongs here"],
  ['False part', "a choice is written 'test ? a : b'"],
  ['true-expression', "a choice is written 'test ? a : b'"],
  ['object key', "keyword arguments are written '{name: value}'"],
  ['object value', "',' or '}' belongs here"],
  ['Unexpected part', 'an operator belongs before it'],
];
