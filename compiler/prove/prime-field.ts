/**
 * Arithmetic in the prime field of 2⁶¹ − 1. Two formulas that are the same rational function, with roots adjoined,
 * agree at every point; two that differ agree at a random point with probability about degree / 2⁶¹ (Schwartz and
 * Zippel), so that agreement at random points proves them equal for all practical purposes.
 */
import type { Arithmetic } from '../graph/arithmetic.ts';
import type { Call, Fraction } from '../graph/expr.ts';
import type { Comparison } from '../spec/spec.ts';

/** A Mersenne prime, 3 modulo 4, so that a^((p+1)/4) is the root of a square, and is multiplicative. */
const prime = 2n ** 61n - 1n;

/** The point has no value for the formula: a division by zero, or a root of what is no square. Another may have. */
export class NoValue extends Error {}

const mod = (a: bigint): bigint => ((a % prime) + prime) % prime;

function raise(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = mod(base), e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * square) % prime;
    square = (square * square) % prime;
  }
  return result;
}

function inverse(a: bigint): bigint {
  if (a === 0n) throw new NoValue('division by zero');
  return raise(a, prime - 2n);
}

function root(a: bigint): bigint {
  const r = raise(a, (prime + 1n) / 4n);
  if (mod(r * r) !== a) throw new NoValue('no root in the field');
  return r;
}

const integerPower = (a: bigint, n: bigint): bigint => (n >= 0n ? raise(a, n) : raise(inverse(a), -n));

/**
 * A random function from field elements to field elements, always the same for the same seed: it stands for a
 * transcendental function, about which nothing is known but what `relations` states.
 */
function opaque(seed: bigint, name: string, ...args: readonly bigint[]): bigint {
  let h = seed;
  for (const char of name) h = mod((h ^ BigInt(char.codePointAt(0)!)) * 0x9e3779b97f4a7c15n + 0x7f4a7c15n);
  for (const a of args) {
    h = mod((h + a) * 0xbf58476d1ce4e5b9n + 0x94d049bb133111ebn);
    h = mod((h ^ (h >> 29n)) * 0x94d049bb133111ebn + 1n);
  }
  return h;
}

/** A field whose functions and order are random but fixed by the seed. */
export function primeField(seed: bigint): Arithmetic<bigint> {
  const unknown = (name: string, ...args: readonly bigint[]): bigint => opaque(seed, name, ...args);
  const sub = (a: bigint, b: bigint): bigint => mod(a - b);
  const div = (a: bigint, b: bigint): bigint => mod(a * inverse(b));
  /** A random sign that is opposite for opposite values. */
  const sign = (a: bigint): bigint => {
    if (a === 0n) return 0n;
    const [least, flips] = a < prime - a ? [a, 1n] : [prime - a, -1n];
    return (unknown('sign', least) & 1n) === 1n ? mod(flips) : mod(-flips);
  };
  const isPositive = (a: bigint): boolean => sign(a) === 1n;
  const exp = (x: bigint): bigint => {
    if (x === 0n) return 1n;
    return x < prime - x ? unknown('exp', x) : inverse(unknown('exp', prime - x));
  };
  const log = (x: bigint): bigint => (x === 1n ? 0n : unknown('log', x));
  const odd = (name: string, x: bigint): bigint =>
    x === 0n ? 0n : x < prime - x ? unknown(name, x) : mod(-unknown(name, prime - x));
  const even = (name: string, x: bigint): bigint => unknown(name, x < prime - x ? x : mod(-x));
  const relations: { readonly [K in Call]: (...args: readonly bigint[]) => bigint } = {
    exp: (x) => exp(x!),
    log: (x) => log(x!),
    log1p: (x) => log(mod(x! + 1n)),
    expm1: (x) => sub(exp(x!), 1n),
    tanh: (x) => {
      const square = mod(exp(x!) ** 2n);
      return div(sub(square, 1n), mod(square + 1n));
    },
    sigmoid: (x) => inverse(mod(1n + exp(mod(-x!)))),
    softplus: (x) => log(mod(1n + exp(x!))),
    erf: (x) => odd('erf', x!),
    sin: (x) => odd('sin', x!),
    cos: (x) => (x === 0n ? 1n : even('cos', x!)),
    abs: (x) => mod(x! * sign(x!)),
    sign: (x) => sign(x!),
    floor: (x) => unknown('floor', x!),
    relu: (x) => (isPositive(x!) ? x! : 0n),
    max: (a, b) => (isPositive(sub(a!, b!)) ? a! : b!),
    min: (a, b) => (isPositive(sub(b!, a!)) ? a! : b!),
    pow: (a, b) => (b === 0n ? 1n : b === 1n ? a! : unknown('pow', a!, b!)),
    clamp: (x, low, high) => relations.min(relations.max(x!, low!), high!),
  };
  const compare: { readonly [K in Comparison]: (a: bigint, b: bigint) => boolean } = {
    '<': (a, b) => isPositive(sub(b, a)),
    '<=': (a, b) => !isPositive(sub(a, b)),
    '>': (a, b) => isPositive(sub(a, b)),
    '>=': (a, b) => !isPositive(sub(b, a)),
    '==': (a, b) => a === b,
    '!=': (a, b) => a !== b,
  };
  return {
    fraction: (value: Fraction) => div(mod(value.s * value.n), mod(value.d)),
    number: (value) => {
      if (!Number.isFinite(value)) throw new NoValue('not finite');
      return mod(BigInt(value));
    },
    constant: (name) => unknown(name),
    add: (a, b) => mod(a + b),
    mul: (a, b) => mod(a * b),
    div,
    power: (a, p) => {
      if (p.d === 1n) return integerPower(a, p.s * p.n);
      if (p.d === 2n) return integerPower(root(a), p.s * p.n);
      return unknown('power', a, mod(p.s * p.n), p.d);
    },
    call: (fn, args) => relations[fn](...args),
    compare: (fn, a, b) => compare[fn](a, b),
    toNumber: (value) => Number(value),
  };
}
