/** Who takes part: everything that can compute the cases, behind one interface. */
import type { Case } from './cases.ts';
import type { Data } from './data.ts';
import type { Results } from './reference.ts';

/** A case on one contender, its tensors in place and what it compiles compiled on the first call. */
export interface Prepared {
  /** The results of one call with the first set of data, before anything else was called. */
  readonly results: () => Promise<Results>;
  /**
   * Milliseconds of so many calls, which alternate between the sets of data, until all results are there. Results are
   * allocated and freed in each call, as a program would.
   */
  readonly time: (count: number) => Promise<number>;
  readonly dispose: () => void | Promise<void>;
}

export interface Contender {
  readonly name: string;
  readonly side: 'ours' | 'peer' | 'floor';
  readonly unit: 'cpu' | 'gpu';
  readonly threads: 'one' | 'all';
  /** Why it cannot do a case, or nothing. */
  readonly cannot: (row: Case) => string | undefined | Promise<string | undefined>;
  readonly prepare: (row: Case, data: readonly Data[]) => Promise<Prepared>;
}

/** A contender that cannot take part, and why. */
export interface Absent {
  readonly name: string;
  readonly reason: string;
}

/** Some contenders: a library, with its version. */
export interface Team {
  readonly contenders: readonly Contender[];
  readonly absent: readonly Absent[];
  /** For the description of the machine, e.g. `PyTorch 2.1`. */
  readonly versions: readonly string[];
  readonly close?: () => void;
}

/** The contenders of a library, unless it does not start here: then they are absent, by their common name. */
export async function assemble(
  name: string,
  versions: () => readonly string[],
  start: () => Promise<readonly Contender[]>,
): Promise<Team> {
  try {
    return { contenders: await start(), absent: [], versions: versions() };
  } catch (error) {
    return { contenders: [], absent: [{ name, reason: reasonOf(error) }], versions: [] };
  }
}

/** Numbers the calls of all samples, so that samples of one call alternate too. */
export function numbered<R>(call: (i: number) => R): () => R {
  let i = 0;
  return () => call(i++);
}

/** Milliseconds of so many calls that have finished when they return. */
export function timeSync(count: number, call: () => void): number {
  const start = performance.now();
  for (let i = 0; i < count; i++) call();
  return performance.now() - start;
}

export async function timeAsync(count: number, call: () => Promise<void>): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < count; i++) await call();
  return performance.now() - start;
}

/** The same for calls that only put work into a queue: the wait for it at the end is part of the time. */
export async function timeQueued(
  count: number,
  call: () => void | Promise<void>,
  finish: () => Promise<unknown>,
): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < count; i++) await call();
  await finish();
  return performance.now() - start;
}

/** The element of a list that a call is to use. */
export const turn = <T>(sets: readonly T[], i: number): T => sets[i % sets.length]!;

export const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
