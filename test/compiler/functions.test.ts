/** Every elementwise function on every target, at ordinary and extreme arguments, against float64. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { compileSpec, type Target, typescript32, typescript64, wasm, wgsl } from './targets.ts';

const one = 'sqrt rsqrt exp log log1p expm1 tanh sigmoid relu softplus erf sin cos abs sign floor'.split(' ');
const formulas = [
  ...one.map((fn) => `${fn}(x)`),
  'min(x, w)',
  'max(x, w)',
  'pow(x, w)',
  'clamp(x, -1, 2)',
  'x ^ 3',
  'x ^ (1/3)',
  'x != w ? 1 : 0',
  'x < 0 ? sqrt(-1) : x > 1 ? log(-2) : 1e30 * x',
  'x > w ? x : w',
  '(x == 0 or x >= 1) and not (x > 50) ? 1 : 0',
];
const hasW = (formula: string): boolean => /\bw\b/.test(formula);
const compiled = await compileSpec(
  formulas
    .map((formula, k) => {
      const more = hasW(formula) ? ', Tensor w[n]' : '';
      return `- name: f_${k}(Tensor x[n]${more}) -> Tensor y[n]\n  forward: {y: "${formula}"}\n  generate: [forward]\n`;
    })
    .join(''),
);

const { fround } = Math;
const least = 2 ** -149;
const largest = fround(3.4028234663852886e38);
const extremes = [0, -0, least, -least, 1e-40, 1e-30, 1e-7, -1e-7, 1e30, -1e30, largest, -largest];
const limits = [
  88, 88.3, 88.5, 88.7, 88.72, 88.73, 89, 100, -86, -87.3, -87.4, -88, -95, -103, -104, -105, -200,
];
const plain = [0.5, -0.5, 1, -1, 1.5, -1.5, 2.5, 3, -3, 6, -6, 7, 10, -10, 17.25, 1000, -1000];
/** Of which reducing sin and cos takes many digits of π. */
const far = [-128, 8192, 1e6, -1e8, 5e11, 3e14, 1e20];
const xs = [
  ...extremes,
  ...limits,
  ...plain,
  ...far,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];
// so many that there are whole vectors and a rest
const x = [...xs, ...xs.toReversed(), 0.25].map(fround);
const ws = [...plain, 0, 1 / 3, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const w = x.map((_, i) => fround(ws[(7 * i) % ws.length]!));

async function valuesOf(target: Target, k: number): Promise<readonly number[]> {
  const inputs = new Map([['x', { shape: [x.length], data: x }]]);
  if (hasW(formulas[k]!)) inputs.set('w', { shape: [x.length], data: w });
  const session = await startSession(target, compiled.ops.get(`f_${k}`)!, { inputs, attributes: {} });
  const y = (await session.outputs()).get('y')!;
  session.dispose();
  return [...y];
}

/** How far results may be off, relative to themselves and absolutely, and what arguments they are computed for. */
interface Precision {
  readonly relative: number;
  readonly absolute: number;
  readonly isCovered: (x: number) => boolean;
}

const ofCpu: Precision = { relative: 2e-6, absolute: 2 * least, isCovered: () => true };
/**
 * WGSL allows errors that grow with the exponent in exp and pow, and that what is smaller than normal numbers is zero.
 * That NaN and infinities exist at all it leaves to devices; where they do, as they do here, they are the same as on the
 * CPU.
 */
const leastNormal = 2 ** -126;
const ofWgsl: Precision = {
  relative: 2e-5,
  absolute: leastNormal,
  isCovered: (x) => !(x !== 0 && Math.abs(x) < leastNormal),
};

function isNear(found: number, exact: number, { relative, absolute }: Precision): boolean {
  const rounded = fround(exact);
  if (Object.is(found, rounded) || found === rounded) return true;
  if (!Number.isFinite(exact)) return false;
  const error = Math.abs(Math.max(-largest, Math.min(found, largest)) - exact);
  return error <= relative * Math.abs(exact) || error <= absolute;
}

for (const [target, precision] of [
  [typescript32, ofCpu],
  [wasm, ofCpu],
  [await wgsl(), ofWgsl],
] as const) {
  const test = suite(`functions, ${target.name}`);
  for (const [k, formula] of formulas.entries()) {
    test(formula, async () => {
      const [found, exact] = [await valuesOf(target, k), await valuesOf(typescript64, k)];
      const wrong = x.flatMap((at, i) =>
        !precision.isCovered(at) || isNear(found[i]!, exact[i]!, precision)
          ? []
          : [`at ${at}, ${w[i]}: ${found[i]}, not ${exact[i]}`],
      );
      assert.equal(wrong, []);
    });
  }
  test.run();
}
