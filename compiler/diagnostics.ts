/** What a user's mistake looks like: a value with a code, a place and a hint, framed for reading in one function. */

/** A half-open range of offsets into the text of the spec. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Diagnostic {
  readonly code: string;
  readonly message: string;
  readonly span: Span;
  readonly hint?: string;
}

/** The compiler's own mistake: never the user's, always a bug to report. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`normgrad has a bug: ${message}`);
}

/** A line and a column, both from 1; columns count UTF-16 units, as editors do. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

interface Line {
  readonly number: number;
  /** Where the line starts in the text, past a byte order mark. */
  readonly start: number;
  readonly text: string;
}

/** Where the lines of a text start. They end at `\n`, `\r\n` or a lone `\r`. */
function startsOf(text: string): readonly number[] {
  const starts = [text.startsWith('\uFEFF') ? 1 : 0];
  for (const end of text.matchAll(/\r\n|\n|\r/g)) starts.push(end.index + end[0].length);
  return starts;
}

/** The starts for the latest text: many diagnostics are about one. */
let latest: { readonly text: string; readonly starts: readonly number[] } = { text: '', starts: [0] };

function lineAt(text: string, offset: number): Line {
  if (latest.text !== text) latest = { text, starts: startsOf(text) };
  const { starts } = latest;
  let low = 0;
  for (let high = starts.length; high - low > 1; ) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= offset) low = middle;
    else high = middle;
  }
  const start = starts[low]!;
  return { number: low + 1, start, text: text.slice(start, starts[low + 1]).replace(/[\r\n]+$/, '') };
}

/** The line and column of an offset; an offset outside the text is moved to its nearer end. */
export function locate(text: string, offset: number): Place {
  const line = lineAt(text, offset);
  const column = Math.max(0, Math.min(offset - line.start, line.text.length)) + 1;
  return { line: line.number, column };
}

/** Columns shown of a line; a longer one is cut around the span. */
const widest = 150;
/** Columns kept before the span when a line is cut. */
const before = 60;

/**
 * `FILE:LINE:COLUMN: error[CODE]: message`, an empty line, the source line with its number, and the span underlined,
 * followed by the hint. No newline at the end.
 */
export function formatDiagnostic(d: Diagnostic, text: string, file: string): string {
  const line = lineAt(text, d.span.start);
  const { column } = locate(text, d.span.start);
  const head = `${file}:${line.number}:${column}: error[${d.code}]: ${printable(d.message)}`;
  const { shown, from, to } = cut(line.text, column - 1, d.span.end - line.start);
  const margin = `${line.number} | `;
  const indent = ' '.repeat(margin.length) + blank(shown.slice(0, from));
  const carets = '^'.repeat(Math.max(1, blank(shown.slice(from, to)).length));
  const hint = d.hint === undefined ? '' : `  ${printable(d.hint)}`;
  return `${head}\n\n${margin}${printable(shown)}\n${indent}${carets}${hint}`;
}

/** A diagnostic as `--json` gives it. */
export interface DiagnosticJson extends Place {
  readonly file: string;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export function diagnosticToJson(d: Diagnostic, text: string, file: string): DiagnosticJson {
  const place = { file, ...locate(text, d.span.start), code: d.code, message: d.message };
  return d.hint === undefined ? place : { ...place, hint: d.hint };
}

/** The part of a line worth showing, and where the span lies in it. */
function cut(line: string, start: number, end: number): { shown: string; from: number; to: number } {
  const stop = Math.max(start, Math.min(end, line.length));
  if (line.length <= widest) return { shown: line, from: start, to: stop };
  const left = start <= before ? 0 : Math.min(start - before, Math.max(0, line.length - widest));
  const right = Math.min(line.length, left + widest);
  const head = left > 0 ? '…' : '';
  const shown = `${head}${line.slice(left, right)}${right < line.length ? '…' : ''}`;
  const shift = head.length - left;
  return { shown, from: start + shift, to: Math.min(stop, right) + shift };
}

/** Characters that a terminal gives two columns. */
const wide =
  /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\u{1F300}-\u{1FAFF}]/u;

/** Spaces as wide as the text; tabs stay tabs, so that they are as wide as those above them. */
const blank = (text: string): string =>
  [...text].map((c) => (c === '\t' ? '\t' : wide.test(c) ? '  ' : ' ')).join('');

/** The text with control characters, which a terminal would obey, replaced one for one; tabs stay. */
const printable = (text: string): string => text.replace(/(?!\t)[\p{Cc}\u2028\u2029]/gu, '\uFFFD');
