/** Every elementwise function on the targets of the CPU, at ordinary and extreme arguments, against float64. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { compileSpec, type Target, typescript32, typescript64, wasm } from './targets.ts';

const one = 'sqrt rsqrt exp log log1p expm1 tanh sigmoid relu softplus erf sin cos abs sign floor'.split(' ');
const formulas = [
  ...one.map((fn) => `${fn}(x)`),
  'min(x, w)',
  'max(x, w)',
  'pow(x, w)',
  'clamp(x, -1, 2)',
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
  { targets: ['typescript', 'wasm'] },
);

const { fround } = Math;
const least = 2 ** -149;
const largest = fround(3.4028234663852886e38);
const extremes = [0, -0, least, -least, 1e-40, 1e-30, 1e-7, -1e-7, 1e30, -1e30, largest, -largest];
const limits = [
  88, 88.3, 88.5, 88.7, 88.72, 88.73, 89, 100, -86, -87.3, -87.4, -88, -95, -103, -104, -105, -200,
];
const plain = [0.5, -0.5, 1, -1, 1.5, -1.5, 2.5, 3, -3, 6, -6, 7, 10, -10, 17.25, 1000, -1000];
const xs = [...extremes, ...limits, ...plain, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
// so many that there are whole vectors and a rest
const x = [...xs, ...xs.toReversed(), 0.25].map(fround);
const w = x.map((_, i) => fround(plain[(7 * i) % plain.length]!));

async function valuesOf(target: Target, k: number): Promise<readonly number[]> {
  const inputs = new Map([['x', { shape: [x.length], data: x }]]);
  if (hasW(formulas[k]!)) inputs.set('w', { shape: [x.length], data: w });
  const session = await startSession(target, compiled.ops.get(`f_${k}`)!, { inputs, attributes: {} });
  const y = (await session.outputs()).get('y')!;
  session.dispose();
  return [...y];
}

/** Equal to a few units in the last place of f32, and in what is not finite. */
function isNear(found: number, exact: number): boolean {
  const rounded = fround(exact);
  if (Object.is(found, rounded) || found === rounded) return true;
  const error = Math.abs(found - exact);
  return error <= 1e-6 * Math.abs(exact) || error <= 2 * least;
}

for (const target of [typescript32, wasm]) {
  const test = suite(`functions, ${target.name}`);
  for (const [k, formula] of formulas.entries()) {
    test(formula, async () => {
      const [found, exact] = [await valuesOf(target, k), await valuesOf(typescript64, k)];
      const wrong = x.flatMap((at, i) =>
        isNear(found[i]!, exact[i]!) ? [] : [`at ${at}, ${w[i]}: ${found[i]}, not ${exact[i]}`],
      );
      assert.equal(wrong, []);
    });
  }
  test.run();
}
