/**
 * A reduction as code: identity, lift, merge, finish. An accumulator starts from a first element, so that moments can
 * be summed about it and nothing cancels; finished accumulators of disjoint elements merge.
 */
import { reduce } from '../graph/build.ts';
import type { Expr } from '../graph/expr.ts';
import type { Accumulation, Monoid } from '../schedule/stages.ts';
import {
  asVector,
  binary,
  boolTypeOf,
  type Code,
  call,
  isVector,
  type LaneMerge,
  real,
  realTypeOf,
} from './kernel.ts';

export type Local = (base: string, value: Code) => Code;

export interface MonoidCode {
  /** Initial values of the running parts while elements are taken in. */
  readonly running: readonly number[];
  /** Whether elements are taken in relative to a first one. */
  readonly isShifted: boolean;
  /** How running parts that started from the same first element become one. */
  readonly lanes: LaneMerge;
  /** The running parts of one element alone. */
  readonly lift: (x: Code, first: Code, local: Local) => Code[];
  /** The running parts of two sets of elements together, which were taken about the same first element. */
  readonly join: (a: readonly Code[], b: readonly Code[]) => Code[];
  /** The running parts after one more element. */
  readonly step: (parts: readonly Code[], x: Code, first: Code, local: Local) => Code[];
  /** What merges: the state of these running parts, of so many elements. */
  readonly state: (parts: readonly Code[], elements: Code, first: Code, local: Local) => Code[];
  /** The state of no elements. */
  readonly identity: readonly number[];
  /** What a state of several parts is called, its parts, and what merges two. */
  readonly record?: { readonly name: string; readonly members: readonly string[]; readonly merge: string };
  /** Which parts of the state are counts. */
  readonly counts?: readonly number[];
  readonly merge: (a: readonly Code[], b: readonly Code[], local: Local) => Code[];
}

/** Rounding may leave a sum of squares below zero; NaN stays NaN. */
const notNegative = (x: Code): Code => ({
  code: 'select',
  type: realTypeOf(x),
  test: { code: 'compare', type: boolTypeOf(x), operator: '<', a: x, b: zeroLike(x) },
  then: zeroLike(x),
  else: x,
});
const zeroLike = (x: Code): Code => (isVector(x) ? asVector(real(0)) : real(0));

const unlessEmpty = (elements: Code, value: Code, otherwise: Code): Code => ({
  code: 'select',
  type: realTypeOf(value),
  test: { code: 'compare', type: 'bool', operator: '==', a: elements, b: real(0) },
  then: otherwise,
  else: value,
});

/** A count that can be divided by: nothing is shared with nothing. */
const orOne = (count: Code): Code => ({
  code: 'select',
  type: 'real',
  test: { code: 'compare', type: 'bool', operator: '>', a: count, b: real(0) },
  then: count,
  else: real(1),
});

const simple = (identity: number, lanes: LaneMerge, combine: (a: Code, b: Code) => Code): MonoidCode => ({
  running: [identity],
  isShifted: false,
  lanes,
  lift: (x) => [x],
  join: ([a], [b]) => [combine(a!, b!)],
  step: ([total], x) => [combine(total!, x)],
  state: ([total]) => [total!],
  identity: [identity],
  merge: ([a], [b]) => [combine(a!, b!)],
});

export const monoids: { readonly [K in Monoid]: MonoidCode } = {
  sum: simple(0, '+', (a, b) => binary('+', a, b)),
  prod: simple(1, '*', (a, b) => binary('*', a, b)),
  amax: simple(Number.NEGATIVE_INFINITY, 'max', (a, b) => call('max', a, b)),
  amin: simple(Number.POSITIVE_INFINITY, 'min', (a, b) => call('min', a, b)),
  /** Runs as Σ(x − first), Σ(x − first)²; merges as count, mean, Σ(x − mean)² (Chan, Golub and LeVeque 1983). */
  moments: {
    running: [0, 0],
    isShifted: true,
    lanes: '+',
    lift: (x, first, local) => {
      const d = local('d', binary('-', x, first));
      return [d, binary('*', d, d)];
    },
    join: ([a1, a2], [b1, b2]) => [binary('+', a1!, b1!), binary('+', a2!, b2!)],
    step: ([s1, s2], x, first, local) => {
      const d = local('d', binary('-', x, first));
      return [binary('+', s1!, d), binary('+', s2!, binary('*', d, d))];
    },
    state: ([s1, s2], elements, first, local) => {
      const offset = local('offset', binary('*', s1!, binary('/', real(1), elements)));
      const squares = local('squares', binary('-', s2!, binary('*', s1!, offset)));
      return [elements, binary('+', first, offset), notNegative(squares)];
    },
    identity: [0, 0, 0],
    record: { name: 'Moments', members: ['count', 'mean', 'squares'], merge: 'merge_moments' },
    counts: [0],
    merge: ([countA, meanA, squaresA], [countB, meanB, squaresB], local) => {
      const count = local('count', binary('+', countA!, countB!));
      const d = local('d', binary('-', meanB!, meanA!));
      const share = local('share', binary('/', countB!, orOne(count)));
      const between = binary('*', binary('*', d, d), binary('*', countA!, share));
      return [
        count,
        binary('+', meanA!, binary('*', d, share)),
        binary('+', binary('+', squaresA!, squaresB!), between),
      ];
    },
  },
};

export interface Result {
  readonly expr: Expr;
  readonly base: string;
  readonly value: () => Code;
}

/**
 * The reduction nodes that an accumulation provides, from its final state and the number of elements. What was merged
 * with the state of no elements, whose mean is 0, has no mean of its own where there are none.
 */
export function resultsOf(
  { monoid, x, over }: Accumulation,
  state: readonly Code[],
  elements: Code,
  isMerged: boolean,
): Result[] {
  const provide = (
    op: 'sum' | 'mean' | 'var' | 'amax' | 'amin' | 'prod',
    base: string,
    value: () => Code,
  ): Result => ({
    expr: reduce(op, x, over),
    base,
    value,
  });
  if (monoid === 'moments') {
    const [, mean, squares] = state as [Code, Code, Code];
    const variance = binary('/', squares, elements);
    return [
      provide('sum', 'total', () => unlessEmpty(elements, binary('*', mean, elements), zeroLike(mean))),
      // the variance of no elements is 0 / 0
      provide('mean', 'mean', () => (isMerged ? unlessEmpty(elements, mean, variance) : mean)),
      provide('var', 'variance', () => variance),
    ];
  }
  const total = state[0]!;
  if (monoid !== 'sum') return [provide(monoid, monoid, () => total)];
  return [provide('sum', 'total', () => total), provide('mean', 'mean', () => binary('/', total, elements))];
}

export const isShifted = ({ monoid }: Accumulation): boolean => monoids[monoid].isShifted;
