/** Functions of vectors in WebAssembly at thousands of arguments of every magnitude, against float64, in ulps. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { float64 } from '../../compiler/graph/arithmetic.ts';
import { around, ofBits } from './floats.ts';
import { compileSpec, wasm } from './targets.ts';

/** The most units in the last place that each function may be off. */
const bounds = {
  exp: 1,
  log: 1,
  log1p: 1,
  expm1: 2,
  tanh: 3,
  sigmoid: 3,
  softplus: 2,
  erf: 2,
  sin: 2,
  cos: 2,
  sign: 0,
  pow: 1,
};
type Name = keyof typeof bounds;
const names = Object.keys(bounds) as Name[];

/** Of a product that is 1 once it is rounded to f32, and is not. */
const comparisons = { same: '==', other: '!=' };
const compared = Object.entries(comparisons).map(
  ([name, fn]) =>
    `- name: ${name}(Tensor x[n], Tensor w[n]) -> Tensor y[n]\n  forward: {y: "x * w ${fn} 1 ? 2 : 3"}\n  generate: [forward]\n`,
);

const compiled = await compileSpec(
  names
    .map((fn) => {
      const [more, args] = fn === 'pow' ? [', Tensor w[n]', 'x, w'] : ['', 'x'];
      return `- name: f_${fn}(Tensor x[n]${more}) -> Tensor y[n]\n  forward: {y: "${fn}(${args})"}\n  generate: [forward]\n`;
    })
    .concat(compared)
    .join(''),
  { targets: ['wasm'] },
);

const { fround } = Math;

/** Each sign and exponent, denormals and what is not finite included, with ends and middles of the mantissa. */
const magnitudes = Array.from({ length: 512 * 16 }, (_, k) => {
  const mantissas = [0, 1, 2, 0x3504f3, 0x3504f4, 0x7ffffe, 0x7fffff];
  return ofBits((k >>> 4) * 2 ** 23 + (mantissas[k % 16] ?? Math.imul(k, 0x9e3779b1) >>> 9));
});
const ordinary = Array.from({ length: 6000 }, (_, k) => fround((k - 3000) / 150 + Math.sin(k) / 300));
/** Where results over- and underflow, polynomials end, and fractions of ln 2 and of π. */
const limits = [88.72284, -87.33655, -103.97208, 16.6355, 9.010914, 1, 4, -1, 2 ** 16, 2 ** -126, 1e4]
  .flatMap((x) => [x, -x])
  .flatMap((at) => around(at, 2));
const turns = Array.from({ length: 600 }, (_, k) => fround((Math.PI / 4) * Math.ceil(k ** 1.7))).flatMap(
  (at) => around(at, 2),
);
const halves = Array.from({ length: 500 }, (_, k) => fround((k - 250) * (Math.LN2 / 2))).flatMap((at) =>
  around(at, 2),
);
const x = [...magnitudes, ...ordinary, ...limits, ...turns, ...halves];

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
const special = [0, 1, 2, 3, 0.5, 1e-40, 1 + 2 ** -23, 1 - 2 ** -24, 1e9 + 1, 1e38, infinity, nan].flatMap(
  (value) => [fround(value), -fround(value)],
);
/** Exponents that make results of every magnitude, small integers and roots; and every pair of special numbers. */
const powers: readonly (readonly [number, number])[] = [
  ...x.map((base, k) => {
    const exponents = [
      Math.sin(k) * (150 / Math.log2(Math.abs(base))),
      (k % 23) - 11,
      1 / 3,
      0.5,
      Math.sin(k),
    ];
    return [base, fround(exponents[k % 5]!)] as const;
  }),
  ...special.flatMap((base) => special.map((exponent) => [base, exponent] as const)),
];

function ulpOf(value: number): number {
  const exponent = Math.floor(Math.log2(Math.min(Math.abs(value), 2 ** 127)));
  return 2 ** (Math.max(exponent, -126) - 23);
}

/** How far off a result is; overflow counts as 2^128. */
function ulps(found: number, exact: number): number {
  if (Object.is(found, fround(exact))) return 0;
  if (Number.isNaN(found) || Number.isNaN(exact)) return infinity;
  if (found === 0 && exact === 0) return infinity;
  const finite = (value: number): number => Math.max(-(2 ** 128), Math.min(value, 2 ** 128));
  return Math.abs(finite(found) - finite(exact)) / ulpOf(exact);
}

const test = suite('vectors');

for (const fn of names) {
  test(`${fn} is off by at most ${bounds[fn]} ulp`, async () => {
    const args = fn === 'pow' ? powers : x.map((value) => [value]);
    const inputs = ['x', 'w'].slice(0, args[0]!.length).map((name, k) => {
      const data = args.map((values) => values[k]!);
      return [name, { shape: [data.length], data }] as const;
    });
    const session = await startSession(wasm, compiled.ops.get(`f_${fn}`)!, {
      inputs: new Map(inputs),
      attributes: {},
    });
    const found = (await session.outputs()).get('y')!;
    session.dispose();
    const wrong = args.flatMap((values, i) => {
      const exact = float64.call(fn, values);
      const off = ulps(found[i]!, exact);
      return off <= bounds[fn] ? [] : [`at ${values}: ${found[i]}, not ${exact} (${off} ulp)`];
    });
    assert.equal(wrong.slice(0, 10), []);
  });
}

for (const [name, fn] of Object.entries(comparisons)) {
  test(`what is computed is ${fn} a number alone as among others`, async () => {
    for (const length of [1, 3, 4, 7]) {
      const filled = (value: number) => ({ shape: [length], data: Array<number>(length).fill(value) });
      const inputs = new Map([
        ['x', filled(fround(1 / 3))],
        ['w', filled(3)],
      ]);
      const session = await startSession(wasm, compiled.ops.get(name)!, { inputs, attributes: {} });
      const found = (await session.outputs()).get('y')!;
      session.dispose();
      assert.equal([...found], filled(fn === '==' ? 3 : 2).data, `${length} elements`);
    }
  });
}

test.run();
