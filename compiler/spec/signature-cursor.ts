/** The tokens of a signature, and a cursor that goes through them. */
import type { Span } from '../diagnostics.ts';
import { quoted, type Report } from './codes.ts';
import type { Passage } from './passage.ts';

export interface Identifier {
  readonly name: string;
  readonly span: Span;
}

export interface Token extends Identifier {
  readonly kind: 'name' | 'number' | 'sign' | 'end';
}

/** Carries a syntax error out of the descent; it is reported where it is caught. */
export class SignatureError extends Error {
  constructor(
    readonly token: Token,
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** Where a signature is read, and where mistakes go that do not end the reading. */
export interface Cursor {
  readonly report: Report;
  /** The token at the cursor, which stays there, or one further on; `end` is the last. */
  readonly peek: (ahead?: number) => Token;
  /** The same, and goes on. */
  readonly take: () => Token;
  /** Goes on if this is next. */
  readonly accept: (text: string) => boolean;
  /** Throws a `SignatureError` at the cursor unless this is next. */
  readonly expect: (text: string, hint?: string) => void;
  /** A name; anything else throws a `SignatureError` that says what belongs there. */
  readonly identifier: (what: string) => Identifier;
  readonly fail: (message: string, hint?: string) => never;
}

/** At the first token. */
export function createCursor(passage: Passage, report: Report): Cursor {
  const tokens = tokenize(passage);
  let at = 0;
  const peek = (ahead = 0): Token => tokens[at + ahead] ?? tokens.at(-1)!;
  const take = (): Token => {
    const token = peek();
    at += 1;
    return token;
  };
  const fail = (message: string, hint?: string): never => {
    throw new SignatureError(peek(), message, hint);
  };
  const accept = (text: string): boolean => {
    if (peek().name !== text || peek().kind === 'end') return false;
    at += 1;
    return true;
  };
  const expect = (text: string, hint?: string): void => {
    if (!accept(text)) fail(`${quoted(text)} belongs here`, hint ?? hintOfForeign(peek()));
  };
  const identifier = (what: string): Identifier => {
    if (peek().kind !== 'name') fail(`${what} belongs here`, hintOfForeign(peek()));
    const { name, span } = take();
    return { name, span };
  };
  return { report, peek, take, accept, expect, identifier, fail };
}

const hintOfForeign = ({ kind, name }: Token): string | undefined =>
  kind !== 'name' && /^[\p{L}\p{N}_$]/u.test(name)
    ? 'names are made of the letters a to z, digits and _'
    : undefined;

const pattern =
  /\s*(?:([A-Za-z_][A-Za-z0-9_]*)|((?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(->|[\p{L}\p{M}\p{N}_$]+|[^\s]))/uy;

function tokenize(passage: Passage): Token[] {
  const tokens: Token[] = [];
  pattern.lastIndex = 0;
  for (let match = pattern.exec(passage.text); match; match = pattern.exec(passage.text)) {
    const [all, name, number, sign] = match;
    const text = name ?? number ?? sign ?? '';
    const end = match.index + all.length;
    const kind = name !== undefined ? 'name' : number !== undefined ? 'number' : 'sign';
    tokens.push({ kind, name: text, span: passage.span(end - text.length, end) });
  }
  const last = tokens.at(-1)?.span ?? passage.whole;
  return [
    ...tokens,
    { kind: 'end', name: '', span: { start: Math.max(last.start, last.end - 1), end: last.end } },
  ];
}
