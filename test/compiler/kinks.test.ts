/** Exact values and gradients at kinks, ties, zeros and extremes, on every target: the same choices as PyTorch's. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Shaped, startSession } from '../../cli/session.ts';
import { farthest, type Numbers } from './near.ts';
import { compileSpec, interpreter, typescript32, typescript64, wasm, wgsl } from './targets.ts';

interface Case {
  readonly title: string;
  /** The formula of y, over x[n] and w[n] (or of y[], where it is a reduction). */
  readonly formula: string;
  readonly isScalar?: true;
  readonly x: Numbers;
  readonly w?: Numbers;
  readonly y: Numbers;
  /** For cotangents of 1. */
  readonly dx: Numbers;
  readonly dw?: Numbers;
  /** The second-order gradient of y's cotangent, for cotangents of 1. */
  readonly ddy?: Numbers;
}

const root = Math.sqrt(Math.PI);
const farOut = [100, -50, 1e6, -1e8, 2 ** 50, -(2 ** 127)];
const cases: readonly Case[] = [
  { title: 'abs', formula: 'abs(x)', x: [-2, 0, 3], y: [2, 0, 3], dx: [-1, 0, 1] },
  { title: 'relu', formula: 'relu(x)', x: [-2, 0, 3], y: [0, 0, 3], dx: [0, 0, 1] },
  { title: 'sign', formula: 'sign(x) * x', x: [-2, 0, 3], y: [2, 0, 3], dx: [-1, 0, 1] },
  { title: 'floor', formula: 'floor(x) * x', x: [-1.5, 2, 0.5], y: [3, 4, 0], dx: [-2, 2, 0] },
  {
    title: 'clamp',
    formula: 'clamp(x, -1, 2)',
    x: [-2, -1, 0, 2, 3],
    y: [-1, -1, 0, 2, 2],
    dx: [0, 1, 1, 1, 0],
  },
  {
    title: 'max with ties',
    formula: 'max(x, w)',
    x: [1, 2, 3],
    w: [1, 3, 2],
    y: [1, 3, 3],
    dx: [0.5, 0, 1],
    dw: [0.5, 1, 0],
  },
  {
    title: 'min with ties',
    formula: 'min(x, w)',
    x: [1, 2, 3],
    w: [1, 3, 2],
    y: [1, 2, 2],
    dx: [0.5, 1, 0],
    dw: [0.5, 0, 1],
  },
  {
    title: 'amax with ties',
    formula: 'amax(x * w, n)',
    isScalar: true,
    x: [3, 1, 3, 3],
    w: [1, 1, 1, 1],
    y: [3],
    dx: [1 / 3, 0, 1 / 3, 1 / 3],
    dw: [1, 0, 1, 1],
  },
  { title: 'amin with ties', formula: 'amin(x, n)', isScalar: true, x: [2, 1, 1], y: [1], dx: [0, 0.5, 0.5] },
  {
    title: 'amax of negative values',
    formula: 'amax(x, n)',
    isScalar: true,
    x: [-5, -3, -4],
    y: [-3],
    dx: [0, 1, 0],
  },
  { title: 'prod', formula: 'prod(x, n)', isScalar: true, x: [2, 3, -4], y: [-24], dx: [-12, -8, 6] },
  {
    title: 'prod with one zero',
    formula: 'prod(x, n)',
    isScalar: true,
    x: [2, 0, -4],
    y: [0],
    dx: [0, -8, 0],
  },
  {
    title: 'prod with two zeros',
    formula: 'prod(x, n)',
    isScalar: true,
    x: [0, 5, 0],
    y: [0],
    dx: [0, 0, 0],
  },
  {
    title: 'prod of scaled factors',
    formula: 'prod(-x / 2, n)',
    isScalar: true,
    x: [0, 2, 4],
    y: [0],
    dx: [-1, 0, 0],
    ddy: [-1],
  },
  {
    title: 'prod of products',
    formula: 'prod(x * w, n)',
    isScalar: true,
    x: [2, 0, 3],
    w: [1, 2, 1],
    y: [0],
    dx: [0, 12, 0],
    dw: [0, 0, 0],
  },
  {
    title: 'prod of what is next to zero, once rounded',
    formula: 'prod(x - mean(x, n), n)',
    isScalar: true,
    x: [0.1, 0.2, 0.3],
    y: [0],
    dx: [1 / 300, -1 / 150, 1 / 300],
    ddy: [0],
  },
  {
    title: 'prod of what rounding makes zero',
    formula: 'prod(x * w - 0.3, n)',
    isScalar: true,
    x: [3, 1, 2],
    w: [0.1, 0.5, 2],
    y: [0],
    dx: [0.074, 0, 0],
    dw: [2.22, 0, 0],
    ddy: [2.294],
  },
  { title: 'squares', formula: 'x ^ 2', x: [-3, 0, 2], y: [9, 0, 4], dx: [-6, 0, 4] },
  { title: 'cubes', formula: 'x ^ 3', x: [-3, 0, 2], y: [-27, 0, 8], dx: [27, 0, 12] },
  { title: 'roots of squares', formula: '(x ^ 2) ^ 1.5', x: [-2, 0, 2], y: [8, 0, 8], dx: [-12, 0, 12] },
  {
    title: 'roots of products',
    formula: '(x * w) ^ 1.5',
    x: [0, 4, 0],
    w: [1, 1, 0],
    y: [0, 8, 0],
    dx: [0, 3, 0],
    dw: [0, 12, 0],
    ddy: [0, 15, 0],
  },
  {
    title: 'powers of zero and of negative numbers',
    formula: 'pow(x, w)',
    x: [0, 0, 0, -2, -2, 2],
    w: [0, 1, 2, 2, 3, -1],
    y: [1, 0, 0, 4, -8, 0.5],
    dx: [0, 1, 0, -4, 12, -0.25],
  },
  {
    title: 'a guard around a root and a logarithm',
    formula: 'x > 0 ? sqrt(x) + log(x) : 0',
    x: [-1, 0, 4],
    y: [0, 0, 2 + Math.log(4)],
    dx: [0, 0, 0.5],
  },
  {
    title: 'a guard around a guard and a root, times what is saved',
    formula: 'x < 0 ? x : (w > 3 ? 1 : sqrt(x)) * mean(w, n)',
    x: [-1, 4, 9],
    w: [1, 1, 4],
    y: [-1, 4, 2],
    dx: [1, 0.5, 0],
    dw: [1, 1, 1],
  },
  {
    title: 'a guard around a quotient',
    formula: 'x != 0 ? w / x : w',
    x: [0, 2],
    w: [3, 4],
    y: [3, 2],
    dx: [0, -1],
    dw: [1, 0.5],
  },
  {
    title: 'a guard around functions of what forward saves',
    formula: 'sum(x, n) > 0 ? w * log(sum(x, n)) + w / sum(x, n) : w',
    x: [1, -1],
    w: [3, 4],
    y: [3, 4],
    dx: [0, 0],
    dw: [1, 1],
    ddy: [1, 1],
  },
  {
    title: 'a power of what forward saves, which is zero',
    formula: 'pow(var(x, n), w)',
    x: [1, 1],
    w: [2, 3],
    y: [0, 0],
    dx: [0, 0],
    dw: [0, 0],
    ddy: [0, 0],
  },
  {
    title: 'a guard around an exponential',
    formula: 'x < 10 ? exp(x) : x',
    x: [0, 1000],
    y: [1, 1000],
    dx: [1, 1],
  },
  { title: 'sigmoid far out', formula: 'sigmoid(x)', x: [-200, 0, 200], y: [0, 0.5, 1], dx: [0, 0.25, 0] },
  {
    title: 'softplus far out',
    formula: 'softplus(x)',
    x: [-200, 0, 200],
    y: [0, Math.LN2, 200],
    dx: [0, 0.5, 1],
  },
  { title: 'tanh far out', formula: 'tanh(x)', x: [-200, 0, 200], y: [-1, 0, 1], dx: [0, 1, 0] },
  { title: 'erf far out', formula: 'erf(x)', x: [-20, 0, 20], y: [-1, 0, 1], dx: [0, 2 / root, 0] },
  {
    title: 'small arguments',
    formula: '(log1p(x) + expm1(x) + tanh(x)) * 2 ^ 20',
    x: [2 ** -20, -(2 ** -20)],
    y: [3, -3],
    dx: [3 * 2 ** 20, 3 * 2 ** 20],
  },
  {
    title: 'sine and cosine far out',
    formula: 'sin(x) + cos(x)',
    x: farOut,
    y: farOut.map((at) => Math.sin(at) + Math.cos(at)),
    dx: farOut.map((at) => Math.cos(at) - Math.sin(at)),
  },
  { title: 'stop_gradient', formula: 'x * stop_gradient(x)', x: [2, -3], y: [4, 9], dx: [2, -3] },
  {
    title: 'infinite constants that cancel',
    formula: 'w * (1 / 0 - 1 / 0) + x',
    x: [1, 2],
    w: [3, 4],
    y: [Number.NaN, Number.NaN],
    dx: [1, 1],
    dw: [Number.NaN, Number.NaN],
  },
  {
    title: 'infinite constants beside what varies',
    formula: 'x + 1 / 0 - 1 / 0 + 0 * log(0) * w',
    x: [1, 2],
    w: [3, 4],
    y: [Number.NaN, Number.NaN],
    dx: [1, 1],
    dw: [Number.NaN, Number.NaN],
  },
  {
    title: 'constants without a value',
    formula: '(0 - 8) ^ (1 / 3) + sqrt(0 - 1) * x',
    x: [1, 2],
    y: [Number.NaN, Number.NaN],
    dx: [Number.NaN, Number.NaN],
  },
  {
    title: 'constants at the edge',
    formula: '0 ^ 0 * x + 1 / log(0)',
    x: [1, 2],
    y: [1, 2],
    dx: [1, 1],
  },
  {
    title: 'fractions of more digits than a double has room for',
    formula:
      '(10 ^ 400 + 1) / (10 ^ 400 + 3) * x + (1e-200 ^ 2 + 1) ^ 2 * w + 3 ^ 400 / 10 ^ 350 * 1e158 * x',
    x: [1, -2],
    w: [3, 4],
    y: [4.070550791086553, 1.858898417826893],
    dx: [1.070550791086553, 1.070550791086553],
    dw: [1, 1],
  },
  {
    title: 'zero times infinity is not made',
    formula: 'x * 0 + w',
    x: [1, 2],
    w: [3, 4],
    y: [3, 4],
    dx: [0, 0],
    dw: [1, 1],
  },
];

const specOf = ({ formula, w, isScalar, ddy }: Case, k: number): string => `
- name: case_${k}(Tensor x[n]${w ? ', Tensor w[n]' : ''}) -> Tensor y[${isScalar ? '' : 'n'}]
  forward: {y: "${formula}"}
  generate: [forward, backward${ddy ? ', double_backward' : ''}]
`;
const overflow = `
- name: overflow(Tensor x[n]) -> Tensor y[]
  forward: {y: "prod(x, n)"}
  generate: [forward, backward, jvp, double_backward]
`;
const compiled = await compileSpec(cases.map(specOf).join('') + overflow);
const targets = [
  [interpreter, 1e-12],
  [typescript64, 1e-12],
  [typescript32, 1e-6],
  [wasm, 1e-6],
  [await wgsl(), 1e-5],
] as const;
for (const [target, tolerance] of targets) {
  const test = suite(`kinks, ${target.name}`);
  for (const [k, { title, x, w, y, dx, dw, ddy }] of cases.entries()) {
    test(title, async () => {
      const inputs = new Map<string, Shaped>([['x', { shape: [x.length], data: x }]]);
      if (w) inputs.set('w', { shape: [w.length], data: w });
      const session = await startSession(target, compiled[target.of].get(`case_${k}`)!, {
        inputs,
        attributes: {},
      });
      assert.not(farthest((await session.outputs()).get('y')!, y, tolerance), 'y');
      const cotangents = new Map([['y', y.map(() => 1)]]);
      const found = await session.gradients(cotangents);
      const wrong = farthest(found.get('x')!, dx, tolerance);
      assert.not(wrong, `dx${wrong}`);
      const wrongW = dw && farthest(found.get('w')!, dw, tolerance);
      assert.not(wrongW, `dw${wrongW}`);
      if (ddy) {
        const ones = new Map([...inputs.keys()].map((name) => [name, x.map(() => 1)]));
        const second = await session.second(cotangents, ones);
        assert.not(farthest(second.get('grad_y')!, ddy, tolerance), 'second-order gradient of grad_y');
      }
      session.dispose();
    });
  }

  test('derivatives of products with zeros are zero where the other factors overflow', async () => {
    const op = compiled[target.of].get('overflow')!;
    const large = Array<number>(12).fill(1e30);
    for (const zeros of [2, 3]) {
      const data = [...Array<number>(zeros).fill(0), ...large];
      const inputs = new Map([['x', { shape: [data.length], data }]]);
      const session = await startSession(target, op, { inputs, attributes: {} });
      const one = new Map([['y', [1]]]);
      const ones = new Map([['x', data.map(() => 1)]]);
      const found = await session.second(one, ones);
      const all = [
        ...(await session.gradients(one)).get('x')!,
        ...(await session.tangents(ones)).get('y')!,
        ...found.get('grad_y')!,
        // to the second order, the gradient of a zero is the product of all others but one
        ...found.get('x')!.slice(zeros === 2 ? zeros : 0),
      ];
      assert.ok(
        all.every((v) => v === 0),
        `${zeros} zeros: ${all}`,
      );
      session.dispose();
    }
  });
  test.run();
}
