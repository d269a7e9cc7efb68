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
  maximum: `/** The larger of two; NaN if either is, which max() does not promise. */
fn maximum(a: T, b: T) -> T {
  return select(b, a, (a > b) | (a != a));
}`,
  minimum: `/** The smaller of two; NaN if either is, which min() does not promise. */
fn minimum(a: T, b: T) -> T {
  return select(b, a, (a < b) | (a != a));
}`,
  sigmoid: `/** 1 / (1 + e^-x), without overflow. */
fn sigmoid(x: T) -> T {
  let t = exp(-abs(x));
  return select(T(1.0), t, x < T(0.0)) / (1.0 + t);
}`,
  softplus: `/** log(1 + e^x), without overflow. */
fn softplus(x: T) -> T {
  return max(x, T(0.0)) + @log1p(exp(-abs(x)));
}`,
  log1p: `/** log(1 + x): near 0 a polynomial, where log() promises no digits. Beyond, rounding 1 + x alone costs up to 2e-6 of it. */
fn log1p(x: T) -> T {
  let near = x * (1.0 - x * (0.5 - x * (0.33333333 - x * (0.25 - x * 0.2))));
  return select(log(1.0 + x), near, abs(x) < T(0.03));
}`,
  expm1: `/** e^x - 1, exact for small x too. */
fn expm1(x: T) -> T {
  let near = x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666667 + x * (0.0083333333 + x * (0.0013888889 + x * 0.00019841270))))));
  return select(exp(x) - 1.0, near, abs(x) < T(0.3));
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
  sine: `/** The sine of x and so many quarter turns: pi / 2 taken off in three parts, then polynomials (after Cephes). */
fn sine(x: f32, quarters: i32) -> f32 {
  let turns = round(x * 0.63661977);
  let r = ((x - turns * 1.5703125) - turns * 0.0004837512969970703) - turns * 7.549789954891882e-8;
  let q = (i32(turns) + quarters) & 3;
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
  power: `/** x ^ y as mathematics has it: also for negative x where y is whole. */
fn power(x: f32, y: f32) -> f32 {
  if (y == 0.0) {
    return 1.0;
  }
  let p = pow(abs(x), y);
  let odd = y - 2.0 * floor(0.5 * y) == 1.0;
  return select(p, -p, x < 0.0 && odd);
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
  softplus: ['log1p'],
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
  exp: { name: 'exp' },
  log: { name: 'log' },
  log1p: { helper: 'log1p', name: 'log1p' },
  expm1: { helper: 'expm1', name: 'expm1' },
  tanh: { helper: 'hyperbolic', name: 'hyperbolic' },
  sigmoid: { helper: 'sigmoid', name: 'sigmoid' },
  softplus: { helper: 'softplus', name: 'softplus' },
  erf: { helper: 'erf', name: 'erf' },
  sin: { helper: 'sine', name: 'sine', more: '0' },
  cos: { helper: 'sine', name: 'sine', more: '1' },
  abs: { name: 'abs' },
  sign: { name: 'sign' },
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
  const use = (helper: Helper, type: 'f32' | 'some'): void => {
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
    const isInfinite =
      code.code === 'number' && Math.abs(Math.fround(code.value)) === Number.POSITIVE_INFINITY;
    if (isInfinite) use('infinity', 'f32');
  });
  return [...used].sort(([a], [b]) => orderOf(a) - orderOf(b)).map(([, text]) => text);
}

/** Whether a function is defined for several elements at once. */
function takesSome(fn: Call): boolean {
  const { helper } = calls[fn];
  return helper === undefined || /\bT\b/.test(helpers[helper]);
}

const orderOf = (key: string): number => Object.keys(helpers).indexOf(key.split(' ')[0]!);
