/** Where others lose digits: far means, outliers, constant channels, long sums, single elements and NaN. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Session, type Shaped, startSession } from '../../cli/session.ts';
import { farthest, type Numbers } from './near.ts';
import { normals, randomOf } from './random.ts';
import { compileSpec, type Target, typescript32, typescript64, wasm, wgsl } from './targets.ts';

const text = readFileSync(new URL('../../derivatives.yaml', import.meta.url), 'utf8');
const loose = `
- name: loose_norm(Tensor x[n, c, s]) -> Tensor y[n, c, s]
  forward: {y: "(x - mean(x, s)) / sqrt(var(x, s) + 1e-5)"}
  layouts: [[n, c, s], [n, s, c]]
`;
const weighted = `
- name: weighted_var(Tensor x[n, d], Tensor w[d]) -> Tensor y[n]
  forward:
    m: sum(w * x, d) / sum(w, d)
    y: sum(w * (x - m) ^ 2, d) / sum(w, d)
  generate: [forward, backward, double_backward]
`;
const compiled = {
  shipped: await compileSpec(text, { only: 'batch_norm' }),
  loose: await compileSpec(loose),
  weighted: await compileSpec(weighted),
};
const [n, c, s] = [16, 4, 64];
const m = n * s;

/** Batch norm without running statistics in training. */
function start(
  target: Target,
  layout: string,
  x: Numbers,
  shape: readonly number[] = [n, c, s],
): Promise<Session> {
  const channels = shape[1]!;
  const per = (f: (i: number) => number) => ({
    shape: [channels],
    data: Array.from({ length: channels }, (_, i) => f(i)),
  });
  const inputs = new Map([
    ['x', { shape, data: x }],
    ['weight', per((i) => 1 + i / 2)],
    ['bias', per((i) => i - 1.5)],
  ]);
  return startSession(
    target,
    compiled.shipped.ops.get('batch_norm')!,
    { inputs, attributes: { training: true } },
    layout,
  );
}

const channelOf = (i: number): number => Math.floor(i / s) % c;
const random = randomOf('stability');
const noise = normals(random, n * c * s);
const cotangent = normals(random, n * c * s);
const drawn = (shape: readonly number[], f = (v: number) => v): Shaped => ({
  shape,
  data: normals(
    random,
    shape.reduce((a, b) => a * b),
  ).map((v) => Math.fround(f(v))),
});
const far = (mean: number): number[] => noise.map((v) => Math.fround(v + mean));

for (const target of [typescript32, wasm, await wgsl()]) {
  for (const layout of ['n c s', 'n s c']) {
    const test = suite(`stability, ${target.name} [${layout}]`);

    /** Outputs and gradients against float64 on the same rounded input. */
    const compare = async (x: Numbers, forward: number, backward: number): Promise<void> => {
      const [actual, exact] = [await start(target, layout, x), await start(typescript64, layout, x)];
      const [outputs, expected] = [await actual.outputs(), await exact.outputs()];
      const wrong = farthest(outputs.get('y')!, expected.get('y')!, forward);
      assert.not(wrong, `y${wrong}`);
      const ct = new Map([['y', cotangent]]);
      const [gradients, wanted] = [await actual.gradients(ct), await exact.gradients(ct)];
      for (const [name, numbers] of wanted) {
        const off = farthest(gradients.get(name)!, numbers, backward);
        assert.not(off, `gradient of ${name}${off}`);
      }
      for (const session of [actual, exact]) session.dispose();
    };

    test('a mean of 10⁴ standard deviations', () => compare(far(1e4), 1e-3, 1e-3));
    test('a mean of 10⁶ standard deviations', () => compare(far(1e6), 0.1, 0.1));
    test('a mean of -10⁴ standard deviations', () => compare(far(-1e4), 1e-3, 1e-3));
    test('a first element far from all others', () =>
      compare(
        noise.map((v, i) => (i < n && i % s === 0 ? 1e4 : v)),
        1e-4,
        1e-3,
      ));
    test('first elements of every channel far from all others', () =>
      compare(
        noise.map((v, i) => (i < c * s && i % s === 0 ? 1e4 : v)),
        1e-4,
        1e-3,
      ));
    test('tiny and huge values', async () => {
      await compare(
        noise.map((v) => Math.fround(v * 1e-3)),
        1e-5,
        1e-4,
      );
      await compare(
        noise.map((v) => Math.fround(v * 1e6)),
        1e-5,
        1e-4,
      );
    });

    test('constant channels give exactly the bias', async () => {
      const x = noise.map((_, i) => Math.fround([0.1, -1e4, 3.3e6, 7e-5][channelOf(i)]!));
      const session = await start(target, layout, x);
      const y = (await session.outputs()).get('y')!;
      for (const [i, v] of y.entries()) assert.is(v, channelOf(i) - 1.5, `element ${i}`);
      session.dispose();
    });

    test('a NaN stays in its channel', async () => {
      const x = [...noise];
      x[s + 3] = Number.NaN; // channel 1
      const session = await start(target, layout, x);
      const gradients = await session.gradients(new Map([['y', cotangent]]));
      const y = (await session.outputs()).get('y')!;
      for (const numbers of [y, gradients.get('x')!]) {
        for (const [i, v] of numbers.entries())
          assert.is(Number.isNaN(v), channelOf(i) === 1, `element ${i}`);
      }
      assert.equal(
        gradients.get('weight')!.map(Number.isNaN),
        [0, 1, 2, 3].map((i) => i === 1),
      );
      session.dispose();
    });

    test('a cotangent of ones has next to no gradient', async () => {
      const session = await start(target, layout, noise);
      const gradients = await session.gradients(new Map([['y', noise.map(() => 1)]]));
      const largest = Math.max(...gradients.get('x')!.map(Math.abs));
      assert.ok(largest < 1e-6, `dx is ${largest}`);
      assert.not(farthest(gradients.get('bias')!, Array(c).fill(m), 1e-7));
      session.dispose();
    });

    test('a million elements a channel', async () => {
      const shape = [4, 2, 250_000];
      const length = 2_000_000;
      const x = normals(randomOf('long'), length).map((v) => Math.fround(v + 100));
      const [actual, exact] = [
        await start(target, layout, x, shape),
        await start(typescript64, layout, x, shape),
      ];
      const [outputs, expected] = [await actual.outputs(), await exact.outputs()];
      for (const name of ['mean', 'invstd'] as const) {
        const wrong = farthest(outputs.get(name)!, expected.get(name)!, 1e-6);
        assert.not(wrong, `${name}${wrong}`);
      }
      const ct = new Map([['y', normals(randomOf('long cotangent'), length)]]);
      const [gradients, wanted] = [await actual.gradients(ct), await exact.gradients(ct)];
      // sums of a million numbers of either sign are about a thousand
      for (const name of ['weight', 'bias']) {
        const wrong = farthest(gradients.get(name)!, wanted.get(name)!, 2e-4);
        assert.not(wrong, `gradient of ${name}${wrong}`);
      }
      assert.not(farthest(gradients.get('x')!, wanted.get('x')!, 2e-5), 'gradient of x');
      for (const session of [actual, exact]) session.dispose();
    });

    test('statistics of one element: the gradient is exactly zero', async () => {
      const x = { shape: [5, 3, 1], data: normals(random, 15) };
      const op = compiled.loose.ops.get('loose_norm')!;
      const session = await startSession(target, op, { inputs: new Map([['x', x]]), attributes: {} }, layout);
      const dx = (await session.gradients(new Map([['y', normals(random, 15)]]))).get('x')!;
      assert.ok(
        dx.every((v) => v === 0),
        String(dx),
      );
      assert.ok((await session.outputs()).get('y')!.every((v) => v === 0));
      session.dispose();
    });
    test.run();
  }

  const test = suite(`weighted means far from zero, ${target.name}`);

  /** Gradients of both orders against float64 on the same rounded input. */
  const agree = async (name: string, inputs: ReadonlyMap<string, Shaped>, shape: readonly number[]) => {
    const ct = new Map([['y', drawn(shape).data]]);
    const ct2 = new Map([...inputs].map(([of, tensor]) => [of, drawn(tensor.shape).data]));
    const found = async (on: Target): Promise<Map<string, Numbers>> => {
      const session = await startSession(on, compiled.weighted.ops.get(name)!, { inputs, attributes: {} });
      const [first, second] = [await session.gradients(ct), await session.second(ct, ct2)];
      session.dispose();
      return new Map([
        ...first,
        ...[...second].map(([of, numbers]) => [`second order of ${of}`, numbers] as const),
      ]);
    };
    const [actual, exact] = [await found(target), await found(typescript64)];
    assert.is(exact.size, 2 * inputs.size + 1);
    for (const [of, numbers] of exact) {
      const off = farthest(actual.get(of)!, numbers, 1e-5);
      assert.not(off, `${of}${off}`);
    }
  };

  test('a weighted variance', () =>
    agree(
      'weighted_var',
      new Map([
        ['x', drawn([4, 24], (v) => v + 1e4)],
        ['w', drawn([24], (v) => 0.2 + Math.abs(v))],
      ]),
      [4],
    ));
  test.run();
}
