/** Numbers as they are written, exactly. */
import Fraction from 'fraction.js';
import type { Comparison } from './spec.ts';

/** The value of a decimal numeral, exactly: `0.1` is one tenth, `1e-5` is one hundred-thousandth. */
export function exactFraction(numeral: string): Fraction {
  const [mantissa, exponent] = partsOf(numeral);
  const scale = 10n ** BigInt(Math.abs(exponent));
  const value = new Fraction(mantissa.replace(/^\./, '0.').replace(/\.$/, ''));
  return exponent < 0 ? value.div(scale) : value.mul(scale);
}

/** Exponents beyond are in no floating point format, and would take long. */
const mostExponent = 10_000;

export const isWithinBounds = (numeral: string): boolean => Math.abs(partsOf(numeral)[1]) <= mostExponent;

function partsOf(numeral: string): [mantissa: string, exponent: number] {
  const [mantissa, exponent = '0'] = numeral.toLowerCase().split('e');
  return [mantissa!, Number(exponent)];
}

/** The double nearest to a fraction, but for an ulp or so, also where its parts are in no double's range. */
export function toDouble(value: Fraction): number {
  const [n, above] = leading(value.n);
  const [d, below] = leading(value.d);
  const exponent = above - below;
  const half = Math.trunc(exponent / 2);
  return (Number(value.s * n) / Number(d)) * 2 ** half * 2 ** (exponent - half);
}

/** The leading bits of a large number, and how many are left out. */
function leading(n: bigint): [bits: bigint, left: number] {
  if (Number.isFinite(Number(n))) return [n, 0];
  const left = 4 * (n.toString(16).length - 32);
  return [n >> BigInt(left), left];
}

/** Hexadecimal digits that powers are computed to, exactly. */
const mostDigits = 10_000;

/** The power, exactly; undefined where it is no fraction, or has too many digits to be of use. */
export function exactPower(base: Fraction, p: Fraction): Fraction | undefined {
  if (base.n === 0n && p.s < 0n) return undefined;
  const isOne = base.n <= 1n && base.d === 1n;
  const digits = isOne ? 0 : Math.max(base.n.toString(16).length, base.d.toString(16).length);
  if ((digits * Number(p.n)) / Number(p.d) > mostDigits) return undefined;
  return base.pow(p) ?? undefined;
}

/** Compares exactly. */
export function holds(fn: Comparison, a: Fraction, b: Fraction): boolean {
  const sign = a.compare(b);
  const all = {
    '<': sign < 0,
    '<=': sign <= 0,
    '>': sign > 0,
    '>=': sign >= 0,
    '==': sign === 0,
    '!=': sign !== 0,
  };
  return all[fn];
}
