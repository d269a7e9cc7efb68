/** Rows walked along abreast, so that what is the same in each of them is loaded and stored less often. */
import type { Axes } from '../graph/axes.ts';
import { eachCode } from './collect.ts';
import { binary, type Code, index, name, type Statement, times } from './kernel.ts';
import { assignIf, type Builder, openVariable, rowsApart } from './wasm-routine.ts';

type Lanes = Extract<Statement, { do: 'lanes' }>;
type Let = Extract<Statement, { do: 'let' }>;

/** Streams of memory that neighbours may be: rows of one page get into each other's way. */
const fewStreams = 6;

/** How many neighbouring rows to walk along abreast, where each has so many tensors. */
export const neighboursFor = (tensors: number): number =>
  [4, 2].find((rows) => rows * tensors <= fewStreams) ?? 1;

/** Rows of which some go abreast with others far from them, each of which is read ahead by itself. */
export interface Span {
  /** Those that the others are abreast with, and how far away each of these is from the one before it. */
  readonly from: Code;
  readonly together: Code;
  readonly distance: Code;
  /** Those that are left. */
  readonly next: Code;
  readonly below: Code;
}

/** Cuts rows into parts that go abreast, if that is worth it. */
export function cutApart(
  builder: Builder,
  [from, below]: readonly [Code, Code],
  step: Code,
  isWorth: Code,
): Span {
  const turns = openVariable(builder, 'turns', index(0));
  const all = binary('-', below, from);
  assignIf(builder, isWorth, [[turns, binary('/', all, times(step, index(rowsApart)))]]);
  const distance = builder.nest.local('distance', times(turns, step));
  const next = binary('+', from, times(distance, index(rowsApart)));
  return { from, together: binary('+', from, distance), distance, next, below };
}

export interface Rows extends Span {
  readonly axes: Axes;
  readonly step: Code;
  /** How many neighbours of those that are left go abreast. */
  readonly neighbours: number;
}

/** To be called in a loop over lanes: what is done for each row. */
export type EachRow = (body: (row: Code) => void) => void;

/** `loops` are over lanes; they get where a row is, too, of rows abreast the first. */
export function rowLoop(builder: Builder, rows: Rows, loops: (eachRow: EachRow, row: Code) => void): void {
  const { nest, names } = builder;
  const id = names.fresh('row');
  const eachRow: EachRow = (body) => {
    const statements = nest.scope(rows.axes, () => body(name(id, 'index')));
    nest.push({ do: 'each', body: statements });
  };
  const statements = nest.scope([], () => loops(eachRow, name(id, 'index')));
  nest.push({ do: 'rows', name: id, ...rows, apart: rowsApart, body: statements.flatMap(withKnownFirst) });
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
