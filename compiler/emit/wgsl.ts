/** Prints a GPU kernel as a WGSL module with one entry point. */
import type { Call } from '../graph/expr.ts';
import { eachCode } from '../kernel/collect.ts';
import { type Code, isIndex, type Kernel } from '../kernel/kernel.ts';
import { type Language, printCode, printStatements } from './printer.ts';

/** Functions that WGSL lacks, or has with fewer guarantees than a gradient needs. */
const helpers = {
  infinity: `/** Not a constant expression, which may not be infinite. */
fn infinity(sign: u32) -> f32 {
  var bits = 0x7f800000u | sign;
  return bitcast<f32>(bits);
}`,
  maximum: `/** The larger of two; NaN if either is, which max() does not promise. */
fn maximum(a: f32, b: f32) -> f32 {
  return select(b, a, a > b || a != a);
}`,
  minimum: `/** The smaller of two; NaN if either is, which min() does not promise. */
fn minimum(a: f32, b: f32) -> f32 {
  return select(b, a, a < b || a != a);
}`,
  sigmoid: `/** 1 / (1 + e^-x), without overflow. */
fn sigmoid(x: f32) -> f32 {
  let t = exp(-abs(x));
  return select(1.0, t, x < 0.0) / (1.0 + t);
}`,
  softplus: `/** log(1 + e^x), without overflow. */
fn softplus(x: f32) -> f32 {
  return max(x, 0.0) + log1p(exp(-abs(x)));
}`,
  log1p: `/** log(1 + x), exact for small x too (Kahan). */
fn log1p(x: f32) -> f32 {
  if (abs(x) < 0.03) {
    return x * (1.0 - x * (0.5 - x * (0.33333333 - x * (0.25 - x * 0.2))));
  }
  return log(1.0 + x);
}`,
  expm1: `/** e^x - 1, exact for small x too. */
fn expm1(x: f32) -> f32 {
  if (abs(x) < 0.3) {
    return x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666667 + x * (0.0083333333 + x * (0.0013888889 + x * 0.00019841270))))));
  }
  return exp(x) - 1.0;
}`,
  hyperbolic: `/** tanh, exact for small x and without overflow for large. */
fn hyperbolic(x: f32) -> f32 {
  let t = expm1(-2.0 * abs(x));
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
fn bounded(x: f32, low: f32, high: f32) -> f32 {
  return minimum(maximum(x, low), high);
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
};

type Helper = keyof typeof helpers;

/** What a helper calls in turn. */
const needs: { readonly [K in Helper]?: readonly Helper[] } = {
  softplus: ['log1p'],
  hyperbolic: ['expm1'],
  bounded: ['minimum', 'maximum'],
};

const calls: {
  readonly [K in Call]: { readonly helper?: Helper; readonly print: (...args: string[]) => string };
} = {
  exp: { print: (x) => `exp(${x})` },
  log: { print: (x) => `log(${x})` },
  log1p: { helper: 'log1p', print: (x) => `log1p(${x})` },
  expm1: { helper: 'expm1', print: (x) => `expm1(${x})` },
  tanh: { helper: 'hyperbolic', print: (x) => `hyperbolic(${x})` },
  sigmoid: { helper: 'sigmoid', print: (x) => `sigmoid(${x})` },
  softplus: { helper: 'softplus', print: (x) => `softplus(${x})` },
  erf: { helper: 'erf', print: (x) => `erf(${x})` },
  sin: { helper: 'sine', print: (x) => `sine(${x}, 0)` },
  cos: { helper: 'sine', print: (x) => `sine(${x}, 1)` },
  abs: { print: (x) => `abs(${x})` },
  sign: { print: (x) => `sign(${x})` },
  floor: { print: (x) => `floor(${x})` },
  relu: { helper: 'maximum', print: (x) => `maximum(${x}, 0.0)` },
  min: { helper: 'minimum', print: (a, b) => `minimum(${a}, ${b})` },
  max: { helper: 'maximum', print: (a, b) => `maximum(${a}, ${b})` },
  pow: { helper: 'power', print: (a, b) => `power(${a}, ${b})` },
  clamp: { helper: 'bounded', print: (x, low, high) => `bounded(${x}, ${low}, ${high})` },
};

function number(value: number, type: 'index' | 'real'): string {
  if (type === 'index') return `${value}u`;
  // what is beyond f32 is infinite there
  if (Math.fround(value) === Number.POSITIVE_INFINITY) return 'infinity(0u)';
  if (Math.fround(value) === Number.NEGATIVE_INFINITY) return 'infinity(0x80000000u)';
  const text = String(Math.fround(value) === 0 ? 0 : value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

const elsewhere = (what: string): never => {
  throw new Error(`normgrad has a bug: ${what} in WGSL`);
};

const language: Language = {
  number,
  load: (array, index) => `${array}[${index}]`,
  toReal: (x) => `f32(${x})`,
  sqrt: (x) => `sqrt(${x})`,
  rsqrt: (x) => `inverseSqrt(${x})`,
  least: (a, b) => `min(${a}, ${b})`,
  greatest: (a, b) => `max(${a}, ${b})`,
  divide: (a, b) => `(${a} / ${b})`,
  call: (fn, args) => calls[fn].print(...args),
  select: (test, then, otherwise) => `select(${otherwise}, ${then}, ${test})`,
  equal: { '==': '==', '!=': '!=' },
  statements: {
    comment: ({ text }) => `// ${text}`,
    let: ({ name, value }, print) => `let ${name} = ${print(value)};`,
    var: ({ name, value }, print) => `var ${name} = ${print(value)};`,
    assign: ({ name, value }, print) => `${name} = ${print(value)};`,
    array: ({ name, length, fill }, print) => {
      const declaration = `var ${name}: array<f32, ${print(length).replace('u', '')}>;`;
      if (fill === 0) return declaration;
      return `${declaration} for (var k = 0u; k < ${print(length)}; k++) { ${name}[k] = ${number(fill, 'real')}; }`;
    },
    store: ({ array, index, value }, print) => `${array}[${print(index)}] = ${print(value)};`,
    for: ({ name, from, below, step, body }, print, block) =>
      `for (var ${name} = ${print(from)}; ${name} < ${print(below)}; ${
        isIndex(step, 1) ? `${name}++` : `${name} += ${print(step)}`
      }) ${block(body)}`,
    halve: ({ name, from, downTo, body }, _, block) =>
      `for (var ${name} = ${from}u; ${name} >= ${downTo}u; ${name} /= 2u) ${block(body)}`,
    if: ({ test, body }, print, block) => `if (${print(test)}) ${block(body)}`,
    return_if: ({ test }, print) => `if (${print(test)}) { return; }`,
    barrier: () => 'workgroupBarrier();',
    accumulator: () => elsewhere('accumulator'),
    lanes: () => elsewhere('lanes'),
    outlined: () => elsewhere('outlined'),
  },
};

/** The whole module. `entryPoint` is the function's name. */
export function printWgsl(kernel: Kernel, entryPoint: string, comment: readonly string[]): string {
  const { bindings, uniforms, shared } = kernel;
  const parts = [comment.map((line) => `// ${line}`.trimEnd()).join('\n')];
  const declarations = bindings.map(
    ({ name, access }, i) =>
      `@group(0) @binding(${i}) var<storage, ${access === 'read' ? 'read' : 'read_write'}> ${name}: array<f32>;`,
  );
  if (uniforms.length > 0) {
    const members = uniforms.map(({ name, type }) => `  ${name}: ${type},`).join('\n');
    parts.push(`struct Numbers {\n${members}\n}`);
    declarations.push(`@group(0) @binding(${bindings.length}) var<uniform> numbers: Numbers;`);
  }
  parts.push(declarations.join('\n'));
  if (shared.length > 0) {
    parts.push(shared.map(({ name, length }) => `var<workgroup> ${name}: array<f32, ${length}>;`).join('\n'));
  }
  parts.push(...helpersOf(kernel).map((helper) => helpers[helper]));
  const lines = uniforms.map(({ name }) => `  let ${name} = numbers.${name};`);
  lines.push('  let workgroup = workgroup_id.x + workgroup_id.y * num_workgroups.x;');
  parts.push(`@compute @workgroup_size(${kernel.workgroupSize})
fn ${entryPoint}(
  @builtin(workgroup_id) workgroup_id: vec3<u32>,
  @builtin(num_workgroups) num_workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
${lines.join('\n')}
${printStatements(kernel.body, language, '  ')}
}`);
  return `${parts.join('\n\n')}\n`;
}

function helpersOf({ body }: Kernel): Helper[] {
  const used = new Set<Helper>();
  const use = (helper: Helper): void => {
    for (const inner of needs[helper] ?? []) use(inner);
    used.add(helper);
  };
  eachCode(body, (code) => {
    if (code.code === 'call' && calls[code.fn].helper) use(calls[code.fn].helper!);
    const isInfinite =
      code.code === 'number' && Math.abs(Math.fround(code.value)) === Number.POSITIVE_INFINITY;
    if (isInfinite) use('infinity');
  });
  for (const statement of body)
    if (statement.do === 'array' && !Number.isFinite(statement.fill)) use('infinity');
  return (Object.keys(helpers) as Helper[]).filter((helper) => used.has(helper));
}

/** Dispatch sizes and lengths, as a formula over sizes that any language can evaluate. */
export const printFormula = (code: Code): string =>
  printCode(code, { ...language, number: (value) => String(value), divide: (a, b) => `floor(${a} / ${b})` });
