/** Functions of WGSL modules, and how they are called. */
import { invariant } from '../diagnostics.ts';
import type { Call } from '../graph/expr.ts';
import { eachCode } from '../kernel/collect.ts';
import type { CodeType, LaneMerge, Statement } from '../kernel/kernel.ts';

/**
 * Functions that WGSL lacks, or has with fewer guarantees than a gradient needs. `T` is the type they are of, and `@`
 * is before what they call in turn.
 */
const helpers = {
  infinity: `/** Not a constant expression, which may not be infinite. */
fn infinity(sign: u32) -> f32 {
  var bits = 0x7f800000u | sign;
  return bitcast<f32>(bits);
}`,
  nan: `/** Nor may this be. */
fn nan() -> f32 {
  var bits = 0x7fc00000u;
  return bitcast<f32>(bits);
}`,
  maximum: `/** The larger of two; NaN if either is, which max() does not promise. */
fn maximum(a: T, b: T) -> T {
  return select(b, a, (a > b) | !(a == a));
}`,
  minimum: `/** The smaller of two; NaN if either is, which min() does not promise. */
fn minimum(a: T, b: T) -> T {
  return select(b, a, (a < b) | !(a == a));
}`,
  signum: `/** -1, 0 or 1; NaN if x is. */
fn signum(x: T) -> T {
  return select(x, sign(x), x == x);
}`,
  exponential: `/** e^x; NaN if x is, which exp() does not promise. */
fn exponential(x: T) -> T {
  return select(x, exp(x), x == x);
}`,
  logarithm: `/** log(x), of zero minus infinity, and NaN where there is none, which log() does not promise. */
fn logarithm(x: T) -> T {
  return select(sqrt(x) - 1.0 / (x * x), log(x), x > T(0.0));
}`,
  sigmoid: `/** 1 / (1 + e^-x), without overflow. */
fn sigmoid(x: T) -> T {
  let t = @exponential(-abs(x));
  return select(T(1.0), t, x < T(0.0)) / (1.0 + t);
}`,
  softplus: `/** log(1 + e^x), without overflow. */
fn softplus(x: T) -> T {
  return max(x, T(0.0)) + @log1p(@exponential(-abs(x)));
}`,
  log1p: `/** log(1 + x): near 0 a polynomial, where log() promises no digits. Beyond, rounding 1 + x alone costs up to 2e-6 of it. */
fn log1p(x: T) -> T {
  let near = x * (1.0 - x * (0.5 - x * (0.33333333 - x * (0.25 - x * 0.2))));
  return select(@logarithm(1.0 + x), near, abs(x) < T(0.03));
}`,
  expm1: `/** e^x - 1, exact for small x too. */
fn expm1(x: T) -> T {
  let near = x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666667 + x * (0.0083333333 + x * (0.0013888889 + x * 0.00019841270))))));
  return select(@exponential(x) - 1.0, near, abs(x) < T(0.3));
}`,
  hyperbolic: `/** tanh, exact for small x and without overflow for large. */
fn hyperbolic(x: T) -> T {
  let t = @expm1(-2.0 * abs(x));
  return sign(x) * -t / (2.0 + t);
}`,
  erf: `/** The error function: a series for small x, and beyond 1 - erfc by its continued fraction (DLMF 7.6.2, 7.9.2). */
fn erf(x: f32) -> f32 {
  let z = abs(x);
  if (z > 4.0) {
    return sign(x);
  }
  let scale = exp(-z * z) * 0.56418958;
  if (z < 2.0) {
    var term = 2.0 * x;
    var total = term;
    for (var k = 1; k < 40; k++) {
      term *= 2.0 * x * x / f32(2 * k + 1);
      total += term;
    }
    return scale * total;
  }
  var tail = z;
  for (var k = 40; k > 0; k--) {
    tail = z + 0.5 * f32(k) / tail;
  }
  return sign(x) * (1.0 - scale / tail);
}`,
  high_product: `/** The upper half of a product, made of products of halves, which have room (Knuth, TAOCP 4.3.1). */
fn high_product(a: u32, b: u32) -> u32 {
  let low = b & 0xffffu;
  let high = b >> 16u;
  let middle = (a >> 16u) * low + (((a & 0xffffu) * low) >> 16u);
  let other = (a & 0xffffu) * high + (middle & 0xffffu);
  return (a >> 16u) * high + (middle >> 16u) + (other >> 16u);
}`,
  quarters_of: `/**
 * 2 |x| / pi modulo 4 in units of 2^-62, upper word first, from the bits of |x| >= 1/64: its mantissa times those digits
 * of 2 / pi that make neither whole turns nor less than a unit (Payne and Hanek, 1983). Enough of them are left, for no
 * f32 is nearer to a multiple of pi / 2 than 2^-30 of one.
 */
fn quarters_of(bits: u32) -> vec2u {
  var digits = array<u32, 8>(0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu);
  let skipped = (bits >> 23u) - 120u;
  let k = skipped / 32u;
  let first = vec3u(digits[k], digits[k + 1u], digits[k + 2u]) << vec3u(skipped % 32u);
  let rest = (vec3u(digits[k + 1u], digits[k + 2u], digits[k + 3u]) >> vec3u(1u)) >> vec3u(31u - skipped % 32u);
  let window = first | rest;
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  let low = window.y * mantissa;
  let sum = low + high_product(window.z, mantissa);
  return vec2u(window.x * mantissa + high_product(window.y, mantissa) + select(0u, 1u, sum < low), sum);
}`,
  sine: `/**
 * The sine of x and so many quarter turns, NaN where x is not finite: polynomials (after Cephes) of what is left of x
 * after its own. To 1.4e-7, and where that is small to 1.1e-6 of it.
 */
fn sine(x: f32, quarters: i32) -> f32 {
  let bits = bitcast<u32>(x) & 0x7fffffffu;
  if (bits >= 0x7f800000u) {
    return nan();
  }
  var q: i32;
  var r: f32;
  if (bits < 0x43000000u) {
    // below 2^7 pi / 2 is taken off in three parts, of which the first two times turns are exact
    let turns = round(x * 0.63661977);
    q = i32(turns);
    r = ((x - turns * 1.5703125) - turns * 0.0004837512969970703) - turns * 7.549789954891882e-8;
  } else {
    // what is left of the nearest quarter turn, or lacking, in units of 2^-64 of one
    let turned = quarters_of(bits);
    let over = vec2u((turned.x << 2u) | (turned.y >> 30u), turned.y << 2u);
    let is_lacking = over.x >= 0x80000000u;
    let rest = vec2f(select(over, ~over, is_lacking));
    q = i32(turned.x >> 30u) + select(0, 1, is_lacking);
    r = (rest.x + rest.y * 2.3283064e-10) * 3.6572951e-10;
    r = select(r, -r, is_lacking);
    if (x < 0.0) {
      q = -q;
      r = -r;
    }
  }
  q = (q + quarters) & 3;
  let z = r * r;
  let s = r + r * z * (-0.16666654 + z * (0.0083321609 - z * 0.00019515296));
  let c = 1.0 - 0.5 * z + z * z * (0.041666646 + z * (-0.0013887316 + z * 0.000024433157));
  let value = select(s, c, (q & 1) == 1);
  return select(value, -value, q > 1);
}`,
  bounded: `/** x within bounds; NaN if it is. */
fn bounded(x: T, low: T, high: T) -> T {
  return @minimum(@maximum(x, low), high);
}`,
  power: `/** x ^ y as in IEEE 754 and JavaScript: of negative x where y is whole, and otherwise NaN. */
fn power(x: f32, y: f32) -> f32 {
  if (y == 0.0) {
    return 1.0;
  }
  let z = abs(x);
  let is_real = x >= 0.0 || floor(y) == y || z == infinity(0u);
  if (!(x == x && y == y && is_real) || (z == 1.0 && abs(y) == infinity(0u))) {
    return nan();
  }
  let is_limit = z == 0.0 || z == infinity(0u) || abs(y) == infinity(0u);
  let limit = select(0.0, infinity(0u), (z > 1.0) == (y > 0.0));
  let value = select(pow(z, y), limit, is_limit);
  let is_odd = y - 2.0 * floor(0.5 * y) == 1.0;
  return select(value, -value, is_odd && bitcast<u32>(x) >= 0x80000000u);
}`,
  head: 'fn head(v: some) -> f32 { return vec4f(v).x; }',
  sum: `fn sum_of(v: some) -> f32 {
  let u = vec4f(v);
  return select(u.x + u.y + (u.z + u.w), u.x, many == 1u);
}`,
  product: `fn product_of(v: some) -> f32 {
  let u = vec4f(v);
  return select(u.x * u.y * (u.z * u.w), u.x, many == 1u);
}`,
  greatest: `fn greatest_of(v: some) -> f32 {
  let u = vec4f(v);
  return maximum(maximum(u.x, u.y), maximum(u.z, u.w));
}`,
  least: `fn least_of(v: some) -> f32 {
  let u = vec4f(v);
  return minimum(minimum(u.x, u.y), minimum(u.z, u.w));
}`,
};

type Helper = keyof typeof helpers;

/** What a helper calls in turn. */
const needs: { readonly [K in Helper]?: readonly Helper[] } = {
  sigmoid: ['exponential'],
  softplus: ['exponential', 'log1p'],
  log1p: ['logarithm'],
  expm1: ['exponential'],
  quarters_of: ['high_product'],
  sine: ['quarters_of', 'nan'],
  power: ['infinity', 'nan'],
  hyperbolic: ['expm1'],
  bounded: ['minimum', 'maximum'],
  greatest: ['maximum'],
  least: ['minimum'],
};

/** What makes one of the elements that a lane takes in at once. */
export const folds: { readonly [K in LaneMerge]: { readonly helper: Helper; readonly name: string } } = {
  '+': { helper: 'sum', name: 'sum_of' },
  '*': { helper: 'product', name: 'product_of' },
  max: { helper: 'greatest', name: 'greatest_of' },
  min: { helper: 'least', name: 'least_of' },
};

/** Functions by name: WGSL's own, or helpers. */
const calls: {
  readonly [K in Call]: { readonly helper?: Helper; readonly name: string; readonly more?: string };
} = {
  exp: { helper: 'exponential', name: 'exponential' },
  log: { helper: 'logarithm', name: 'logarithm' },
  log1p: { helper: 'log1p', name: 'log1p' },
  expm1: { helper: 'expm1', name: 'expm1' },
  tanh: { helper: 'hyperbolic', name: 'hyperbolic' },
  sigmoid: { helper: 'sigmoid', name: 'sigmoid' },
  softplus: { helper: 'softplus', name: 'softplus' },
  erf: { helper: 'erf', name: 'erf' },
  sin: { helper: 'sine', name: 'sine', more: '0' },
  cos: { helper: 'sine', name: 'sine', more: '1' },
  abs: { name: 'abs' },
  sign: { helper: 'signum', name: 'signum' },
  floor: { name: 'floor' },
  relu: { helper: 'maximum', name: 'maximum', more: '0.0' },
  min: { helper: 'minimum', name: 'minimum' },
  max: { helper: 'maximum', name: 'maximum' },
  pow: { helper: 'power', name: 'power' },
  clamp: { helper: 'bounded', name: 'bounded' },
};

/** A helper of several elements is called otherwise than that of one. */
const ofSome = (name: string): string => `${name}_some`;

export function printCall(fn: Call, args: readonly string[], type: CodeType): string {
  const { helper, name, more } = calls[fn];
  const isSome = type === 'vector' && helper !== undefined;
  const last = more === undefined ? [] : [isSome ? `some(${more})` : more];
  return `${isSome ? ofSome(name) : name}(${[...args, ...last].join(', ')})`;
}

/** The texts of the helpers that statements use, of reals and of several elements. */
export function helpersOf(body: readonly Statement[]): string[] {
  const used = new Map<string, string>();
  const use = (helper: Helper, wanted: 'f32' | 'some'): void => {
    const type = /\bT\b/.test(helpers[helper]) ? wanted : 'f32';
    for (const inner of needs[helper] ?? []) use(inner, type);
    const named = (name: string): string => (type === 'some' ? ofSome(name) : name);
    const text = helpers[helper].replace(/@(\w+)/g, (_, name) => named(name)).replace(/\bT\b/g, type);
    used.set(
      `${helper} ${type}`,
      type === 'some' ? text.replace(/\nfn (\w+)/, (_, name) => `\nfn ${named(name)}`) : text,
    );
  };
  eachCode(body, (code) => {
    if (code.code === 'call' && code.type === 'vector')
      invariant(takesSome(code.fn), `${code.fn} of vectors`);
    if (code.code === 'call' && calls[code.fn].helper)
      use(calls[code.fn].helper!, code.type === 'vector' ? 'some' : 'f32');
    if (code.code === 'first') use('head', 'f32');
    if (code.code === 'fold') use(folds[code.merge].helper, 'f32');
    if (code.code === 'number' && Number.isNaN(code.value)) use('nan', 'f32');
    else if (code.code === 'number' && !Number.isFinite(Math.fround(code.value))) use('infinity', 'f32');
  });
  return [...used].sort(([a], [b]) => orderOf(a) - orderOf(b)).map(([, text]) => text);
}

/** Whether a function is defined for several elements at once. */
function takesSome(fn: Call): boolean {
  const { helper } = calls[fn];
  return helper === undefined || /\bT\b/.test(helpers[helper]);
}

const orderOf = (key: string): number => Object.keys(helpers).indexOf(key.split(' ')[0]!);
