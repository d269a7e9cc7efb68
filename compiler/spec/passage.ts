/** A piece of the spec's text that has a grammar of its own, and where its characters are in the file. */
import { Scalar } from 'yaml';
import type { Span } from '../diagnostics.ts';

export interface Passage {
  /** As in the file, line breaks and indentation included: both grammars take them for spaces. */
  readonly text: string;
  readonly whole: Span;
  /** Where a range of the text is in the file. */
  readonly span: (start: number, end: number) => Span;
}

/**
 * The text of a scalar. Offsets are exact unless the scalar has escapes: plain, block and quoted scalars are read from
 * the source itself, and only what YAML would unescape is read from its value, with every span the whole scalar.
 */
export function passageOf(scalar: Scalar, source: string): Passage {
  const [start, end] = scalar.range ?? [0, 0];
  const whole = trimmed(source, start, end);
  const raw = source.slice(start, end);
  if (scalar.type === Scalar.BLOCK_FOLDED || scalar.type === Scalar.BLOCK_LITERAL) {
    const header = raw.search(/[\r\n]/);
    const isEmpty = header < 0 || raw.slice(header).trim() === '';
    return isEmpty ? { text: '', whole, span: () => whole } : exact(source, start + header, end);
  }
  if (scalar.type === Scalar.QUOTE_DOUBLE || scalar.type === Scalar.QUOTE_SINGLE) {
    const inner = raw.slice(1, -1);
    if (!inner.includes('\\') && !inner.includes("''")) return exact(source, start + 1, end - 1, whole);
    return { text: String(scalar.value), whole, span: () => whole };
  }
  return exact(source, start, end);
}

const exact = (source: string, start: number, end: number, whole = trimmed(source, start, end)): Passage => ({
  text: source.slice(start, end),
  whole,
  span: (from, to) => ({ start: start + from, end: start + to }),
});

/** The range without the white space at its ends. */
function trimmed(source: string, start: number, end: number): Span {
  const raw = source.slice(start, end);
  const from = start + raw.length - raw.trimStart().length;
  return { start: Math.min(from, end), end: Math.max(from, start + raw.trimEnd().length) };
}

/** The text on one line. */
export const onOneLine = (passage: Passage): string => passage.text.trim().replace(/\s+/g, ' ');
