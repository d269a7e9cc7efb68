/**
 * Elementwise functions of vectors of four f32 in WebAssembly, right for denormals, −0, infinities and NaN too. The
 * error stated, in units in the last place (ulp), is the largest at every 97th f32, and at every 11th from 2^−6 to 2^7.
 */
import type { Call } from '../graph/expr.ts';
import { createDefine, type Scope, type Value } from './wasm-define.ts';
import type { Binaryen, Module, Once, Ref } from './wasm-module.ts';
import { createWide } from './wasm-wide.ts';

export type Vectors = { readonly [K in Call]: (args: readonly Ref[]) => Ref };

/** `byLane` applies the function of reals to each lane. */
export function createVectors(
  binaryen: Binaryen,
  m: Module,
  once: Once,
  byLane: (fn: Call, args: readonly Ref[]) => Ref,
): Vectors {
  const define = createDefine(binaryen, m, once);
  const wide = createWide(m, define, byLane);
  const { f32x4, i32x4 } = m;
  const { add, sub, mul, div, abs, neg, min, max, nearest, lt, gt, ge, eq } = f32x4;
  const { and, or, bitselect } = m.v128;
  const splat = (value: number): Ref => f32x4.splat(m.f32.const(value));
  const ints = (value: number): Ref => i32x4.splat(m.i32.const(value));
  const shiftRight = (x: Ref, bits: number): Ref => i32x4.shr_s(x, m.i32.const(bits));
  /** By Horner's rule, from the highest power. */
  const polynomial = (x: Value, [first, ...rest]: readonly number[]): Ref =>
    rest.reduce((value, c) => add(mul(value, x()), splat(c)), splat(first!));
  /** For functions with the sign of x: gives a value without it, or −0 that became 0, the sign. */
  const withSignOf = (x: Value, value: Ref): Ref => or(value, and(x(), splat(-0)));

  /** n and p with e^x = 2^n (1 + p) and |x − n ln 2| ≤ ln 2 / 2; the polynomial of Cephes' expf. */
  function reduceExp(x: Value, keep: Scope['keep']): { readonly n: Value; readonly p: Value } {
    const n = keep(nearest(mul(x(), splat(Math.LOG2E))));
    const r = keep(sub(sub(x(), mul(n(), splat(0.693359375))), mul(n(), splat(-2.1219444e-4))));
    const power = [1.9875691e-4, 1.3981999e-3, 8.333452e-3, 4.1665796e-2, 0.16666666, 0.5];
    const p = keep(add(mul(polynomial(r, power), mul(r(), r())), r()));
    return { n: keep(i32x4.trunc_sat_f32x4_s(n())), p };
  }
  const power2 = (n: Ref): Ref => i32x4.shl(i32x4.add(n, ints(127)), m.i32.const(23));
  /** x 2^n, in two steps since 2^n alone is not always finite and normal where the result is. */
  function scale(x: Ref, n: Value, keep: Scope['keep']): Ref {
    const half = keep(shiftRight(n(), 1));
    return mul(mul(x, power2(half())), power2(i32x4.sub(n(), half())));
  }

  /** To 0.98 ulp. Clamped where e^x is 0 or infinite in f32 anyway. */
  const exp = define('exp_vector', ({ keep }, x) => {
    const { n, p } = reduceExp(keep(min(max(x(), splat(-104)), splat(89))), keep);
    return scale(add(p(), splat(1)), n, keep);
  });

  /** e^x − 1 = 2^n (p + (1 − 2^−n)), to 1.57 ulp. Below −30 it is −1. */
  const expm1 = define('expm1_vector', ({ keep }, x) => {
    const { n, p } = reduceExp(keep(min(max(x(), splat(-30)), splat(89))), keep);
    const rest = sub(splat(1), power2(i32x4.neg(i32x4.min_s(n(), ints(127)))));
    return withSignOf(x, scale(add(p(), rest), n, keep));
  });

  /** tanh |x| = −t / (t + 2) for t = expm1(−2 |x|), to 2.5 ulp. */
  const tanh = define('tanh_vector', ({ keep }, x) => {
    const t = keep(expm1(mul(abs(x()), splat(-2))));
    return withSignOf(x, div(neg(t()), add(t(), splat(2))));
  });

  /** 1 / (1 + e^−x) without overflow, to 2.35 ulp. */
  const sigmoid = define('sigmoid_vector', ({ keep }, x) => {
    const t = keep(exp(neg(abs(x()))));
    return div(bitselect(t(), splat(1), lt(x(), splat(0))), add(splat(1), t()));
  });

  /** log(x) + c for normal x = 2^k (1 + f), √½ ≤ 1 + f < √2: the formula and numbers of FreeBSD's logf. */
  const logPlus = define('log_plus', ({ keep }, x, c) => {
    const root = 0x3f3504f3;
    const bits = keep(i32x4.add(x(), ints(0x3f800000 - root)));
    const k = keep(f32x4.convert_i32x4_s(i32x4.sub(shiftRight(bits(), 23), ints(127))));
    const f = keep(sub(i32x4.add(and(bits(), ints(0x7fffff)), ints(root)), splat(1)));
    const s = keep(div(f(), add(splat(2), f())));
    const z = keep(mul(s(), s()));
    const tail = mul(polynomial(z, [0.24279079, 0.28498787, 0.40000972, 0.6666666]), z());
    const square = keep(mul(mul(f(), f()), splat(0.5)));
    const low = add(mul(k(), splat(9.0580006e-6)), c());
    const small = sub(add(mul(s(), add(square(), tail)), low), square());
    const log = add(add(small, f()), mul(k(), splat(0.69313812)));
    const finite = bitselect(log, x(), lt(x(), splat(Number.POSITIVE_INFINITY)));
    // a mask of ones is a NaN
    return bitselect(splat(Number.NEGATIVE_INFINITY), or(finite, lt(x(), splat(0))), eq(x(), splat(0)));
  });

  /** To 0.84 ulp. Denormals are multiplied by 2^23 first. */
  const log = define('log_vector', ({ keep }, x) => {
    const tiny = keep(lt(x(), splat(2 ** -126)));
    const normal = bitselect(mul(x(), splat(2 ** 23)), x(), tiny());
    return logPlus(normal, and(splat(-23 * Math.LN2), tiny()));
  });

  /** log(u) + (x − (u − 1)) / u for u = 1 + x as rounded: the second term is what rounding took. To 0.84 ulp. */
  const log1p = define('log1p_vector', ({ keep }, x) => {
    const u = keep(add(x(), splat(1)));
    const lost = bitselect(sub(splat(1), sub(u(), x())), sub(x(), sub(u(), splat(1))), ge(x(), splat(1)));
    return withSignOf(x, logPlus(u(), div(lost, u())));
  });

  /** log(1 + e^x) without overflow, to 1.65 ulp. */
  const softplus = define('softplus_vector', (_, x) => add(max(x(), splat(0)), log1p(exp(neg(abs(x()))))));

  /**
   * To 1.44 ulp: below 1 a polynomial, above 1 − e^q(|x|), where q is close to log erfc. By Sollya's
   * `fpminimax(erf(sqrt(x)) / sqrt(x) - 1, 6, [|single...|], [1e-10; 1], floating, absolute)` and
   * `remez(log(erfc(x)) * w, 6, [1; 4], w)` with `w = erfc(x) / erf(x)`, rounded.
   */
  const erf = define('erf_vector', ({ keep }, x) => {
    const z = keep(mul(x(), x()));
    const p = [7.9241305e-5, -8.031836e-4, 5.1908446e-3, -2.6855174e-2, 0.11283619, -0.37612629, 0.12837917];
    const near = keep(add(x(), mul(x(), polynomial(z, p))));
    const t = keep(min(abs(x()), splat(4)));
    const q = [1.8637917e-4, -2.947658e-3, 2.1838063e-2, -0.10310675, -0.63814485, -1.1270891, -3.4152326e-4];
    const far = withSignOf(x, sub(splat(1), exp(polynomial(t, q))));
    return bitselect(near(), far, lt(t(), splat(1)));
  });

  /** Exact; −0 and NaN stay. */
  const sign = define('sign_vector', (_, x) => {
    const negative = bitselect(splat(-1), x(), lt(x(), splat(0)));
    return bitselect(splat(1), negative, gt(x(), splat(0)));
  });

  return {
    exp: ([x]) => exp(x!),
    log: ([x]) => log(x!),
    log1p: ([x]) => log1p(x!),
    expm1: ([x]) => expm1(x!),
    tanh: ([x]) => tanh(x!),
    sigmoid: ([x]) => sigmoid(x!),
    softplus: ([x]) => softplus(x!),
    erf: ([x]) => erf(x!),
    sin: ([x]) => wide.sin(x!),
    cos: ([x]) => wide.cos(x!),
    pow: ([x, y]) => wide.pow(x!, y!),
    sign: ([x]) => sign(x!),
    abs: ([x]) => abs(x!),
    floor: ([x]) => f32x4.floor(x!),
    relu: ([x]) => max(x!, splat(0)),
    min: ([a, b]) => min(a!, b!),
    max: ([a, b]) => max(a!, b!),
    clamp: ([x, low, high]) => min(max(x!, low!), high!),
  };
}
