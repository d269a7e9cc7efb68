/** Functions of vectors in WebAssembly that need more digits than f32 has on the way, and compute halves in f64. */
import type { Call } from '../graph/expr.ts';
import type { Define, Value } from './wasm-define.ts';
import type { Module, Ref } from './wasm-module.ts';

type VectorFunction = (...args: Ref[]) => Ref;

export interface Wide {
  readonly sin: VectorFunction;
  readonly cos: VectorFunction;
  readonly pow: VectorFunction;
}

export function createWide(m: Module, define: Define, byLane: (fn: Call, args: readonly Ref[]) => Ref): Wide {
  const { f32x4, f64x2, i32x4, i64x2, v128 } = m;
  const narrow = (value: number): Ref => f32x4.splat(m.f32.const(value));
  const splat = (value: number): Ref => f64x2.splat(m.f64.const(value));
  const ints = (value: number): Ref => i32x4.splat(m.i32.const(value));
  const longs = (value: bigint): Ref => i64x2.splat(m.i64.const(value));
  const { add, sub, mul, div, min, max, nearest, lt, eq } = f64x2;

  const bytes = (from: number): number[] => Array.from({ length: 8 }, (_, k) => from + k);
  const low = f64x2.promote_low_f32x4;
  const high = (x: Ref): Ref => low(m.i8x16.shuffle(x, narrow(0), [...bytes(8), ...bytes(0)]));
  /** Both halves, rounded to f32. */
  const join = (a: Ref, b: Ref): Ref =>
    m.i8x16.shuffle(f32x4.demote_f64x2_zero(a), f32x4.demote_f64x2_zero(b), [...bytes(0), ...bytes(16)]);
  /** By Horner's rule, from the highest power. */
  const polynomial = (x: Value, [first, ...rest]: readonly number[]): Ref =>
    rest.reduce((value, c) => add(mul(value, x()), splat(c)), splat(first!));
  const narrowPolynomial = (x: Value, [first, ...rest]: readonly number[]): Ref =>
    rest.reduce((value, c) => f32x4.add(f32x4.mul(value, x()), narrow(c)), narrow(first!));

  /** x − n π/2 in f64; the upper part of π/2 has 33 bits, as in fdlibm, so that n times it is exact. */
  const fromQuarter = (x: Ref, n: () => Ref): Ref =>
    sub(sub(x, mul(n(), splat(1.5707963267341256))), mul(n(), splat(6.077100506506192e-11)));

  /** sin(x + turns π/2), by the polynomials of Cephes' sinf and cosf for |r| ≤ π/4. */
  const turned = define('sin_turned', ({ keep }, x, turns) => {
    // a zero is added so that −0 stays itself
    const n = keep(f32x4.add(f32x4.nearest(f32x4.mul(x(), narrow(2 / Math.PI))), narrow(0)));
    const r = keep(
      join(
        fromQuarter(low(x()), () => low(n())),
        fromQuarter(high(x()), () => high(n())),
      ),
    );
    const z = keep(f32x4.mul(r(), r()));
    const one = (p: Ref): Ref => f32x4.add(f32x4.mul(p, z()), narrow(1));
    const sin = f32x4.mul(r(), one(narrowPolynomial(z, [-1.9515296e-4, 8.332161e-3, -0.16666655])));
    const cos = one(narrowPolynomial(z, [2.4433157e-5, -1.3887316e-3, 4.1666646e-2, -0.5]));
    const quarter = keep(i32x4.add(i32x4.trunc_sat_f32x4_s(n()), turns()));
    const isOdd = i32x4.eq(v128.and(quarter(), ints(1)), ints(1));
    const sign = i32x4.shl(v128.and(quarter(), ints(2)), m.i32.const(30));
    return v128.xor(v128.bitselect(cos, sin, isOdd), sign);
  });
  /** To 1.98 ulp. Beyond 2^16, by JavaScript's Math: in these lanes alone, for what is in the others may be beyond an end. */
  const ofTurn = (fn: 'sin' | 'cos', turns: number): VectorFunction =>
    define(`${fn}_vector`, ({ keep, returnIf }, x) => {
      const isFar = keep(f32x4.gt(f32x4.abs(x()), narrow(2 ** 16)));
      const near = keep(turned(x(), ints(turns)));
      returnIf(v128.any_true(isFar()), v128.bitselect(byLane(fn, [x()]), near(), isFar()));
      return near();
    });

  /**
   * x^y = 2^(y log2 x) for x ≥ 0, with x = 2^k m, √½ ≤ m < √2, and log2 m = s P(s²), s = (m − 1) / (m + 1).
   * By Sollya's `fpminimax(log((1 + sqrt(x)) / (1 - sqrt(x))) / sqrt(x) / log(2), 4, [|D...|], [1e-20; 0.02944],
   * floating, relative)` and `fpminimax(2^x, 6, [|D...|], [-0.5; 0.5], floating, relative)`.
   */
  const powOfPair = define('pow_pair', ({ keep }, x, y) => {
    const root = 0x3fe6a09e667f3bcdn;
    const bits = keep(i64x2.add(x(), longs(0x3ff0000000000000n - root)));
    const k = sub(
      v128.or(i64x2.shr_u(bits(), m.i32.const(52)), longs(0x4330000000000000n)),
      splat(2 ** 52 + 1023),
    );
    const mantissa = keep(i64x2.add(v128.and(bits(), longs(0xfffffffffffffn)), longs(root)));
    const s = keep(div(sub(mantissa(), splat(1)), add(mantissa(), splat(1))));
    const z = keep(mul(s(), s()));
    const series = polynomial(
      z,
      [0.3407299678118097, 0.4116727259183815, 0.5770835848624927, 0.9617966733422392, 2.885390081790086],
    );
    const log2 = v128.bitselect(add(k, mul(s(), series)), x(), lt(x(), splat(Number.POSITIVE_INFINITY)));
    const always = v128.bitselect(splat(Number.NEGATIVE_INFINITY), log2, eq(x(), splat(0)));
    const t = keep(min(max(mul(y(), always), splat(-200)), splat(200)));
    const n = keep(nearest(t()));
    const r = keep(sub(t(), n()));
    const power = polynomial(
      r,
      [
        1.53458122936589e-4, 1.3399931228738158e-3, 9.61848895603934e-3, 5.550328776936767e-2,
        0.2402264689064211, 0.6931472057352873, 1.0000000005541683,
      ],
    );
    // the lowest bits of 1.5 · 2^52 + n are those of n
    const exponent = i64x2.add(add(n(), splat(1.5 * 2 ** 52)), longs(1023n));
    return mul(power, i64x2.shl(exponent, m.i32.const(52)));
  });
  /** To 0.54 ulp. Of a negative base, or −0, by JavaScript's Math, in these lanes; x^0 is 1, of NaN too. */
  const pow = define('pow_vector', ({ keep, returnIf }, x, y) => {
    const isNegative = keep(i32x4.lt_s(x(), ints(0)));
    const value = join(powOfPair(low(x()), low(y())), powOfPair(high(x()), high(y())));
    const usual = keep(v128.bitselect(narrow(1), value, f32x4.eq(y(), narrow(0))));
    returnIf(v128.any_true(isNegative()), v128.bitselect(byLane('pow', [x(), y()]), usual(), isNegative()));
    return usual();
  });

  return { sin: ofTurn('sin', 0), cos: ofTurn('cos', 1), pow };
}
