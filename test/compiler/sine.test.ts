/** Sine, cosine and their gradients in WGSL at thousands of arguments of every magnitude, against float64. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { around, ofBits } from './floats.ts';
import { compileSpec, wgsl } from './targets.ts';

/** The functions, and their derivatives. */
const functions = {
  sin: [Math.sin, Math.cos],
  cos: [Math.cos, (x: number) => -Math.sin(x)],
} as const;
type Name = keyof typeof functions;
const names = Object.keys(functions) as Name[];
const compiled = await compileSpec(
  names.map((fn) => `- name: f_${fn}(Tensor x[n]) -> Tensor y[n]\n  forward: {y: ${fn}(x)}\n`).join(''),
);

/** Each sign and each exponent of normal numbers, with the ends of the mantissa and others. */
const magnitudes = Array.from({ length: 254 * 64 }, (_, k) => {
  const mantissa = [0, 1, 0x7fffff][k % 32] ?? Math.imul(k, 0x9e3779b1) >>> 9;
  return ofBits(((k % 64 < 32 ? 0 : 256) + 1 + Math.floor(k / 64)) * 2 ** 23 + mantissa);
});
/** Multiples of π/4, between which polynomials change and where results are zero; and those of f32 nearest to ones of π/2. */
const turns = Array.from({ length: 400 }, (_, k) => (Math.PI / 4) * Math.ceil(k ** 1.9 + 1));
const nearest = [16573937 * 2 ** -16, 10741887 * 2 ** 11, 16367173 * 2 ** 72];
/** Where one way to reduce arguments gives way to another, and where the digits of 2/π that matter change words. */
const limits = [0.5, 1e6, 1e8, 5e11, 3e14, ...Array.from({ length: 127 }, (_, k) => 2 ** k)];
const x = [
  ...magnitudes,
  ...[...turns, ...nearest, ...limits].flatMap((at) => around(at, 1)).flatMap((at) => [at, -at]),
  0,
];
const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
const unbounded = [nan, infinity, -infinity];

const target = await wgsl();
const test = suite('sine');

/** y, and the gradient of x for cotangents of 1. */
async function valuesOf(fn: Name, data: readonly number[]) {
  const inputs = new Map([['x', { shape: [data.length], data }]]);
  const session = await startSession(target, compiled.ops.get(`f_${fn}`)!, { inputs, attributes: {} });
  const y = (await session.outputs()).get('y')!;
  const dx = (await session.gradients(new Map([['y', data.map(() => 1)]]))).get('x')!;
  session.dispose();
  return [y, dx] as const;
}

for (const fn of names) {
  test(`${fn} and its gradient`, async () => {
    const results = await valuesOf(fn, x);
    for (const [order, found] of results.entries()) {
      const exact = x.map(functions[fn][order]!);
      const wrong = x.flatMap((at, i) => {
        const off = Math.abs(found[i]! - exact[i]!);
        // over all of f32, rounding as IEEE 754 does, 1.4e-7 and 1.1e-6 of what is small; devices may round otherwise
        const isRight = off <= 2e-7 && off <= 2e-6 * Math.abs(exact[i]!) && Math.abs(found[i]!) <= 1;
        return isRight ? [] : [`order ${order}, at ${at}: ${found[i]}, not ${exact[i]}`];
      });
      assert.equal(wrong.slice(0, 10), []);
    }
  });

  test(`${fn} of what is not finite, where the device has that`, async () => {
    for (const found of await valuesOf(fn, unbounded)) assert.ok(found.every(Number.isNaN), `${found}`);
  });
}

test.run();
