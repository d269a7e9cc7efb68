/** Rows walked along abreast, so that what is the same in each of them is loaded and stored less often. */
import type { Axes } from '../graph/axes.ts';
import { eachCode } from './collect.ts';
import { type Code, name, type Statement } from './kernel.ts';
import type { Builder } from './wasm-routine.ts';

type Lanes = Extract<Statement, { do: 'lanes' }>;
type Let = Extract<Statement, { do: 'let' }>;

/** Streams of memory that are read ahead or written together, one for each tensor and each of the rows abreast. */
const fewStreams = 6;

/** How many rows to walk along abreast, where each has so many tensors. */
export const abreastFor = (tensors: number): number =>
  [4, 2].find((rows) => rows * tensors <= fewStreams) ?? 1;

export interface Rows {
  readonly axes: Axes;
  readonly from: Code;
  readonly below: Code;
  readonly step: Code;
  readonly abreast: number;
  /** Whether each of them has a part of its own; otherwise they are neighbours. */
  readonly isLong: Code;
}

/** To be called in a loop over lanes: what is done for each row. */
export type EachRow = (body: (row: Code) => void) => void;

/** `loops` are over lanes. */
export function rowLoop(builder: Builder, rows: Rows, loops: (eachRow: EachRow) => void): void {
  const { nest, names } = builder;
  const id = names.fresh('row');
  const eachRow: EachRow = (body) => {
    const statements = nest.scope(rows.axes, () => body(name(id, 'index')));
    nest.push({ do: 'each', body: statements });
  };
  const statements = nest.scope([], () => loops(eachRow));
  nest.push({ do: 'rows', name: id, ...rows, body: statements.flatMap(withKnownFirst) });
}

/** What is known of a row before the loop over lanes, and the loop without it. */
function withKnownFirst(s: Statement): Statement[] {
  if (s.do !== 'lanes') return [s];
  const known: Let[] = [];
  const varies = new Set([s.name, ...s.body.flatMap(namesOf)]);
  const stored = new Set(s.body.flatMap(storedBy));
  const isKnown = (one: Statement): one is Let => {
    if (one.do !== 'let') return false;
    let isSame = true;
    eachCode([one], (code) => {
      if (code.code === 'name' && varies.has(code.name)) isSame = false;
      if (code.code === 'load' && stored.has(code.array)) isSame = false;
    });
    return isSame;
  };
  const keep = (body: readonly Statement[]): Statement[] =>
    body.filter((one) => {
      if (isKnown(one)) known.push(one);
      else for (const id of namesOf(one)) varies.add(id);
      return !known.includes(one as Let);
    });
  const body = s.body.map((one) => (one.do === 'each' ? { ...one, body: keep(one.body) } : one));
  return [...known, { ...s, body } satisfies Lanes];
}

const namesOf = (s: Statement): string[] => ('name' in s ? [s.name] : []);
const storedBy = (s: Statement): string[] =>
  s.do === 'store' ? [s.array] : 'body' in s ? s.body.flatMap(storedBy) : [];
