/** Arithmetic at 64 digits and more, for what 64-bit floating point cannot tell apart. */
import { Decimal } from 'decimal.js';
import { type Arithmetic, comparisons } from '../graph/arithmetic.ts';
import type { Call } from '../graph/expr.ts';

export const digits = 64;

/** Ten digits more than are reported, to absorb rounding. */
const D = Decimal.clone({ precision: digits + 10, minE: -9e6, maxE: 9e6 });
export type Digits = Decimal;

const zero = new D(0);
const one = new D(1);
const pi = D.acos(-1);

const sigmoid = (x: Decimal): Decimal => one.div(one.add(x.neg().exp()));

/** erf by its everywhere positive series (DLMF 7.6.2); beyond 14 it is 1 to more digits than are kept. */
function erf(x: Decimal): Decimal {
  if (x.abs().gt(14)) return new D(x.s);
  let term = x.mul(2);
  let total = term;
  const square = x.mul(x).mul(2);
  for (let k = 1; term.abs().gt(total.abs().mul(`1e-${digits + 12}`)); k++) {
    term = term.mul(square).div(2 * k + 1);
    total = total.add(term);
  }
  return total.mul(x.mul(x).neg().exp()).div(pi.sqrt());
}

const calls: { readonly [K in Call]: (...args: Decimal[]) => Decimal } = {
  exp: (x) => x!.exp(),
  log: (x) => x!.ln(),
  log1p: (x) => x!.add(1).ln(),
  expm1: (x) => x!.exp().sub(1),
  tanh: (x) => x!.tanh(),
  sigmoid: (x) => sigmoid(x!),
  softplus: (x) => (x!.gt(200) ? x! : x!.exp().add(1).ln()),
  erf: (x) => erf(x!),
  sin: (x) => x!.sin(),
  cos: (x) => x!.cos(),
  abs: (x) => x!.abs(),
  sign: (x) => (x!.isZero() ? zero : new D(x!.s)),
  floor: (x) => x!.floor(),
  relu: (x) => D.max(x!, 0),
  min: (a, b) => D.min(a!, b!),
  max: (a, b) => D.max(a!, b!),
  pow: (a, b) => a!.pow(b!),
  clamp: (x, low, high) => D.min(D.max(x!, low!), high!),
};

/** Decimal floating point of 64 digits. */
export const decimal: Arithmetic<Decimal> = {
  fraction: (value) => new D(String(value.s * value.n)).div(String(value.d)),
  number: (value) => new D(value),
  constant: (name) => (name === 'pi' ? pi : one.exp()),
  add: (a, b) => a.add(b),
  mul: (a, b) => a.mul(b),
  div: (a, b) => a.div(b),
  power: (a, p) => {
    if (p.d === 1n) return a.pow(String(p.s * p.n));
    if (p.d === 2n) return a.sqrt().pow(String(p.s * p.n));
    return a.pow(new D(String(p.s * p.n)).div(String(p.d)));
  },
  call: (fn, args) => calls[fn](...args),
  compare: (fn, a, b) => comparisons[fn](a.cmp(b), 0),
  toNumber: (value) => value.toNumber(),
};
