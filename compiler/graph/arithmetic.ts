/** The number system a graph is evaluated in. The interpreter is written once for all of them. */
import { toDouble } from '../spec/numeral.ts';
import type { Comparison } from '../spec/spec.ts';
import type { Call, Fraction } from './expr.ts';

export interface Arithmetic<T> {
  readonly fraction: (value: Fraction) => T;
  readonly number: (value: number) => T;
  readonly constant: (name: 'pi' | 'e') => T;
  readonly add: (a: T, b: T) => T;
  readonly mul: (a: T, b: T) => T;
  readonly div: (a: T, b: T) => T;
  readonly power: (a: T, p: Fraction) => T;
  readonly call: (fn: Call, args: readonly T[]) => T;
  readonly compare: (fn: Comparison, a: T, b: T) => boolean;
  readonly toNumber: (value: T) => number;
}

export const comparisons: { readonly [K in Comparison]: (a: number, b: number) => boolean } = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
};

const calls: { readonly [K in Call]: (...args: number[]) => number } = {
  exp: Math.exp,
  log: Math.log,
  log1p: Math.log1p,
  expm1: Math.expm1,
  tanh: Math.tanh,
  sigmoid: (x) => (x! >= 0 ? 1 / (1 + Math.exp(-x!)) : Math.exp(x!) / (1 + Math.exp(x!))),
  softplus: (x) => Math.max(x!, 0) + Math.log1p(Math.exp(-Math.abs(x!))),
  erf: (x) => erf(x!),
  sin: Math.sin,
  cos: Math.cos,
  abs: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  relu: (x) => Math.max(x!, 0),
  min: (a, b) => Math.min(a!, b!),
  max: (a, b) => Math.max(a!, b!),
  pow: (a, b) => a! ** b!,
  clamp: (x, low, high) => Math.min(Math.max(x!, low!), high!),
};

/** 64-bit floating point. */
export const float64: Arithmetic<number> = {
  fraction: toDouble,
  number: (value) => value,
  constant: (name) => (name === 'pi' ? Math.PI : Math.E),
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  power: (a, p) => {
    if (p.d === 1n) return a ** Number(p.s * p.n);
    if (p.d === 2n) return Math.sqrt(a) ** Number(p.s * p.n);
    return a ** toDouble(p);
  },
  call: (fn, args) => calls[fn](...args),
  compare: (fn, a, b) => comparisons[fn](a, b),
  toNumber: (value) => value,
};

/** erf by its everywhere positive series for |x| < 3 and by the continued fraction of erfc beyond (DLMF 7.6.2, 7.9.2). */
function erf(x: number): number {
  const z = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (z > 6) return Math.sign(x);
  const scale = Math.exp(-z * z) / Math.sqrt(Math.PI);
  if (z < 3) {
    let term = 2 * x;
    let total = term;
    for (let k = 1; Math.abs(term) > 1e-18 * Math.abs(total); k++) {
      term *= (2 * x * x) / (2 * k + 1);
      total += term;
    }
    return scale * total;
  }
  let tail = z;
  for (let k = 60; k > 0; k--) tail = z + k / 2 / tail;
  return Math.sign(x) * (1 - scale / tail);
}
