/** Reads YAML nodes as the shapes that entries are made of, reporting what has another shape. */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml';
import type { Span } from '../diagnostics.ts';
import { listed, quoted, type Report } from './codes.ts';
import { type Passage, passageOf } from './passage.ts';

export interface Source {
  readonly text: string;
  readonly report: Report;
  /** Told that the entry cannot be used although nothing in it is reported. */
  readonly taint: () => void;
  /** What each alias stands for: the latest earlier node with that anchor. */
  readonly targets: ReadonlyMap<Alias, Node>;
  /** Nodes that may still be read through aliases, so that aliases of aliases end. */
  readonly budget: { left: number };
}

export interface Field {
  readonly key: string;
  readonly keySpan: Span;
  /** Undefined where something was reported of it. */
  readonly value: Node | null | undefined;
}

export function sourceOf(document: Document, text: string, report: Report): Source {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, (_, node) => {
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (target) targets.set(node, target);
      else report('yaml', rangeOf(node), `no earlier anchor '&${node.source}'`);
    } else if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined) {
      anchors.set(node.anchor, node);
    }
  });
  return { text, report, taint: () => {}, targets, budget: { left: 10_000 } };
}

const rangeOf = (node: Node): Span => ({ start: node.range?.[0] ?? 0, end: node.range?.[1] ?? 0 });

/** Where a node is: the first line of a map or list. */
export function spanOf(source: Source, node: Node | null | undefined, otherwise: Span): Span {
  if (!node?.range) return otherwise;
  if (isScalar(node)) return passageOf(node, source.text).whole;
  const { start, end } = rangeOf(node);
  const line = source.text.slice(start, end).split(/[\r\n]/, 1)[0] ?? '';
  return { start, end: start + line.trimEnd().length };
}

/** The node itself, or what an alias stands for; undefined for an alias that was reported. */
function target(source: Source, node: Node | null | undefined): Node | null | undefined {
  if (!isAlias(node)) return node;
  const found = source.targets.get(node);
  const cost = isMap(found) || isSeq(found) ? found.items.length + 1 : 1;
  if (source.budget.left >= 0) {
    source.budget.left -= cost;
    if (source.budget.left < 0)
      source.report('too-many-aliases', rangeOf(node), 'aliases repeat too much of the file');
  }
  return source.budget.left < 0 ? undefined : found;
}

/** No value, or a text that says nothing. */
const isEmpty = (node: Node | null): boolean =>
  node === null ||
  (isScalar(node) &&
    (node.value === null ||
      String(node.value).trim() === '' ||
      (node.type === 'PLAIN' && /^(~|null)$/i.test(node.source ?? ''))));

const kindOf = (node: Node | null): string =>
  isEmpty(node) ? 'nothing' : isMap(node) ? 'a map' : isSeq(node) ? 'a list' : 'a single value';

function wrong(source: Source, node: Node | null | undefined, at: Span, what: string, kind: string): void {
  if (node === undefined) return;
  source.report('wrong-type', spanOf(source, node, at), `${what} must be ${kind}, and is ${kindOf(node)}`);
}

/** The fields of a map, in the order written; a key that is there twice is reported and kept once. */
export function fieldsOf(
  source: Source,
  given: Node | null | undefined,
  at: Span,
  what: string,
): Field[] | undefined {
  const node = target(source, given);
  if (!isMap(node)) {
    wrong(source, node, at, what, 'a map');
    return undefined;
  }
  const fields = new Map<string, Field>();
  const cut = cutFormulas(source, node);
  for (const { key, value } of node.items) {
    const keyNode = target(source, key as Node | null) ?? null;
    const keySpan = spanOf(source, keyNode, spanOf(source, node, at));
    if (cut.get(keyNode) === 'rest') continue;
    if (!isScalar(keyNode)) {
      source.report('wrong-type', keySpan, `a key of ${what} must be a name`);
      continue;
    }
    const name = keyNode.source ?? String(keyNode.value);
    const field = { key: name, keySpan, value: cut.has(keyNode) ? undefined : (value as Node | null) };
    if (fields.has(name)) source.report('duplicate-key', keySpan, `${quoted(name)} is in ${what} twice`);
    else fields.set(name, field);
  }
  return [...fields.values()];
}

/** In braces a comma ends a value: keys of formulas that were cut there, and what is a key since it comes after. */
function cutFormulas(source: Source, { flow, items }: YAMLMap): ReadonlyMap<unknown, 'start' | 'rest'> {
  const cut = new Map<unknown, 'start' | 'rest'>();
  for (const [i, { key, value }] of flow ? items.entries() : []) {
    if (!isScalar(value) || value.type !== 'PLAIN') continue;
    let open = openIn(value);
    if (open <= 0) continue;
    const rest: Scalar[] = [];
    for (const { key, value } of items.slice(i + 1)) {
      if (open === 0 || !isScalar(key) || !isEmpty(value as Node | null)) break;
      open += openIn(key);
      rest.push(key);
    }
    if (open !== 0 || rest.length === 0) continue;
    for (const one of rest) cut.set(one, 'rest');
    cut.set(key, 'start');
    const span = { start: rangeOf(value).start, end: spanOf(source, rest.at(-1), rangeOf(value)).end };
    const text = source.text.slice(span.start, span.end).replace(/\s+/g, ' ');
    source.report('yaml', span, "in braces a formula with ',' in it must be quoted", `write "${text}"`);
  }
  return cut;
}

/** How many parentheses more are opened than closed. */
const openIn = ({ source = '' }: Scalar): number => source.split('(').length - source.split(')').length;

/** The items of a list. */
export function itemsOf(
  source: Source,
  given: Node | null | undefined,
  at: Span,
  what: string,
): Node[] | undefined {
  const node = target(source, given);
  if (isSeq(node)) return node.items.map((item) => item as Node);
  wrong(source, node, at, what, 'a list');
  return undefined;
}

function scalarOf(
  source: Source,
  given: Node | null | undefined,
  at: Span,
  what: string,
): Scalar | undefined {
  const node = target(source, given);
  if (isScalar(node) && !isEmpty(node)) return node;
  wrong(source, node, at, what, 'a single value');
  return undefined;
}

/** The text of a formula or a signature. */
export function textOf(
  source: Source,
  node: Node | null | undefined,
  at: Span,
  what: string,
): Passage | undefined {
  const scalar = scalarOf(source, node, at, what);
  return scalar && passageOf(scalar, source.text);
}

export interface Word {
  readonly word: string;
  readonly span: Span;
}

/** A single value as it was written, and where. */
export function wordOf(
  source: Source,
  node: Node | null | undefined,
  at: Span,
  what: string,
): Word | undefined {
  const scalar = scalarOf(source, node, at, what);
  return scalar && { word: String(scalar.value), span: spanOf(source, scalar, at) };
}

/** A list of single values. */
export const wordsOf = (
  source: Source,
  node: Node | null | undefined,
  at: Span,
  what: string,
): Word[] | undefined =>
  itemsOf(source, node, at, what)?.flatMap((item) => wordOf(source, item, at, `an item of ${what}`) ?? []);

/** A list of lists of single values; `words` is undefined for an item that is something else. */
export function wordListsOf(source: Source, node: Node | null | undefined, at: Span, what: string) {
  return itemsOf(source, node, at, what)?.map((item) => ({
    words: wordsOf(source, item, at, `an item of ${what}`),
    span: spanOf(source, item, at),
  }));
}

const truths: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
]);

/** `true` or `false`. */
export function truthOf(source: Source, { word, span }: Word, what: string): boolean | undefined {
  const truth = truths.get(word);
  if (truth === undefined) {
    source.report(
      'wrong-type',
      span,
      `${what} must be one of ${listed(['true', 'false'])}, and is ${quoted(word)}`,
    );
  }
  return truth;
}

const decimal = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** A finite decimal number. */
export function numberOf(text: string): number | undefined {
  const value = Number(text);
  return decimal.test(text) && Number.isFinite(value) ? value : undefined;
}
