/** From the text of a spec to its entries, and to every mistake in it. */
import { type Document, isSeq, type Node, parseDocument } from 'yaml';
import { type Diagnostic, locate, type Span } from '../diagnostics.ts';
import { collector, quoted, type Report } from './codes.ts';
import { itemsOf, type Source, sourceOf } from './document.ts';
import { type Opened, openEntry, readEntry } from './entry.ts';
import type { Standing } from './scope.ts';
import type { Entry, Spec } from './spec.ts';
import { typesName } from './words.ts';

export interface Parsed {
  readonly spec: Spec;
  readonly diagnostics: Diagnostic[];
}

/**
 * Reads a spec whatever its text is. `diagnostics` has every mistake in the order of the text, and `spec` the entries
 * that have none and call none that has one.
 */
export function parseSpec(text: string, file: string): Parsed {
  const { diagnostics, report } = collector();
  const entries = entriesOf(text, report);
  diagnostics.sort((a, b) => a.span.start - b.span.start || a.span.end - b.span.end);
  return { spec: { file, text, entries }, diagnostics };
}

function entriesOf(text: string, report: Report): Entry[] {
  try {
    // YAML would count a byte order mark as a column: a line break in its place moves nothing
    const document = parseDocument(text.replace(/^\uFEFF/, '\n'), {
      schema: 'failsafe',
      uniqueKeys: false,
      prettyErrors: false,
      version: '1.2',
    });
    const source = sourceOf(document, text, report);
    const troubles = reportYaml(document, source);
    return readAll(document, source, troubles);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    report('too-deep', { start: 0, end: 1 }, tooDeep);
    return [];
  }
}

const tooDeep = 'this file is nested too deeply to be read';
/** What engines say of too many calls in each other, which the parser takes for a mistake in the text. */
const ofStack = /call stack|recursion/i;

/** Reports what YAML itself refuses; the offsets where it does. */
function reportYaml(document: Document, { report, text }: Source): number[] {
  const lines = new Set<number>();
  return [...document.errors, ...document.warnings].map(({ code, message, pos: [start, end] }) => {
    // The first trouble of a line brings about the others.
    const { line } = locate(text, start);
    const what = code === 'MULTIPLE_DOCS' ? 'there is more than one document' : firstLine(message);
    const span = { start, end: Math.max(end, start + 1) };
    if (ofStack.test(message)) report('too-deep', span, tooDeep);
    else if (!lines.has(line)) report('yaml', span, what, hints[code]);
    lines.add(line);
    return start;
  });
}

const firstLine = (message: string): string =>
  (message.split('\n', 1)[0] ?? '').replace(/^./, (c) => c.toLowerCase());

const quote = "a formula with ': ' or ' #' in it must be quoted";
const hints: { readonly [code: string]: string } = {
  BLOCK_AS_IMPLICIT_KEY: quote,
  MULTILINE_IMPLICIT_KEY: quote,

  MULTIPLE_DOCS: 'a spec is one document',
  TAB_AS_INDENT: 'indent with spaces',
  UNEXPECTED_TOKEN: quote,
};

function readAll(document: Document, source: Source, troubles: readonly number[]): Entry[] {
  const { report, text } = source;
  const contents = document.contents as Node | null;
  const end = Math.max(1, text.trimEnd().length);
  if (!isSeq(contents)) {
    if (troubles.length > 0) return [];
    const span = {
      start: contents?.range?.[0] ?? 0,
      end: contents ? Math.max(1, contents.range?.[1] ?? end) : end,
    };
    report('not-a-list', span, 'a spec is a list of entries', "an entry starts with '- name: '");
    return [];
  }
  const nodes = itemsOf(source, contents, { start: 0, end }, 'a spec') ?? [];
  return readInOrder(
    nodes.map((node) => new Reading(source, node, troubles)),
    report,
  );
}

/** One entry with its own record of whether anything in it was reported. */
class Reading {
  sound: boolean;
  readonly source: Source;
  readonly opened: Opened | undefined;

  constructor(source: Source, node: Node, troubles: readonly number[]) {
    const [start, , end] = node?.range ?? [0, 0, 0];
    // Where YAML is broken, what follows from it says nothing more.
    const isBroken = troubles.some((at) => at >= start && at <= end);
    this.sound = !isBroken;
    const report: Report = (...mistake) => {
      this.sound = false;
      if (!isBroken) source.report(...mistake);
    };
    const taint = (): void => {
      this.sound = false;
    };
    this.source = { ...source, report, taint };
    this.opened = openEntry(this.source, node, { start, end: Math.max(start + 1, end) });
  }
}

function readInOrder(readings: readonly Reading[], report: Report): Entry[] {
  const standing = new Map<string, Standing>();
  for (const { opened } of readings) if (opened?.name !== undefined) standing.set(opened.name, 'later');
  const seen = new Set<string>();
  const taken: Taken = { folders: new Map(), exports: new Map() };
  const entries: Entry[] = [];
  for (const reading of readings) {
    const { opened, source } = reading;
    if (!opened) continue;
    const { name, span } = opened;
    if (name === undefined) {
      readEntry(source, opened, standing);
      continue;
    }
    const isAgain = seen.has(name);
    if (isAgain) report('duplicate-entry', span, `there is an entry ${quoted(name)} already`);
    else reportSamePlace(name, span, taken, report);
    seen.add(name);
    const before = standing.get(name);
    standing.set(name, 'self');
    const entry = readEntry(source, opened, standing);
    const isSound = entry !== undefined && reading.sound && !isAgain;
    if (isSound) entries.push(entry);
    standing.set(name, isSound ? entry : isAgain && before ? before : 'broken');
  }
  return entries;
}

/** The entries that have a folder, by its name, and that export something, by what it is called. */
type Taken = { readonly [place in 'folders' | 'exports']: Map<string, string> };

/**
 * Every entry has a folder, and not every file system tells capital letters from small ones. It also exports its name
 * and that of its type from the index.
 */
function reportSamePlace(name: string, span: Span, { folders, exports }: Taken, report: Report): void {
  const folder = name.toLowerCase();
  const neighbour = folders.get(folder);
  folders.set(folder, neighbour ?? name);
  const own = [name, typesName(name)];
  const same = own.find((exported) => exports.has(exported));
  for (const exported of own) exports.set(exported, exports.get(exported) ?? name);
  if (neighbour !== undefined) {
    const message = `${quoted(name)} and ${quoted(neighbour)} would be one folder on many systems`;
    report('duplicate-entry', span, message, 'choose names that differ in more than capital letters');
  } else if (same !== undefined) {
    const message = `${quoted(name)} and ${quoted(exports.get(same)!)} would both export ${quoted(same)} from the index`;
    report(
      'duplicate-entry',
      span,
      message,
      'choose names that differ in more than capital letters and underscores',
    );
  }
}
