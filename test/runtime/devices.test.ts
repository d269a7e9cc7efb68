/** What both devices do alike, each with its own kernels. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '../../cli/device.ts';
import { cpu, type Tensor, webgpu } from '../../runtime/index.ts';
import { near, rejects } from './near.ts';
import { scale } from './scale.ts';

const n = 2;
const g = 2;
const k = 3;
const s = 4;
const factor = 0.5;
const values = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => Math.fround(Math.sin(seed + 1.7 * i)));

/** Where the element at (n, g, k, s) is in each layout, and the shape of the data with s folded from two dimensions. */
const layouts = {
  'n g k s': {
    shape: [2, 6, 2, 2],
    at: (i: number, a: number, b: number, j: number) => ((i * g + a) * k + b) * s + j,
  },
  'n s g k': {
    shape: [2, 2, 2, 6],
    at: (i: number, a: number, b: number, j: number) => ((i * s + j) * g + a) * k + b,
  },
  'n s k g': {
    shape: [2, 2, 2, 3, 2],
    at: (i: number, a: number, b: number, j: number) => ((i * s + j) * k + b) * g + a,
  },
} as const;
type Layout = keyof typeof layouts;

/** A run as callers without types see it. */
type Untyped = {
  readonly [direction in 'backward' | 'jvp' | 'doubleBackward']: (...given: unknown[]) => Promise<unknown>;
};

/** Straight from the formulas in the op's description. */
function reference(layout: Layout, x: number[], w: number[], dy: number[], de: number[]) {
  const { at } = layouts[layout];
  const every = (f: (index: number, group: number, channel: number) => void) => {
    for (let i = 0; i < n; i++)
      for (let a = 0; a < g; a++)
        for (let b = 0; b < k; b++) for (let j = 0; j < s; j++) f(at(i, a, b, j), a, b);
  };
  const [y, dx] = [[...x], [...x]];
  const sums = Array.from({ length: g }, () => 0);
  const dw = w.map(() => 0);
  every((i, a) => {
    sums[a]! += x[i]!;
  });
  every((i, a, b) => {
    y[i] = x[i]! * w[b]! * factor;
    dx[i] = dy[i]! * w[b]! * factor + 2 * sums[a]! * de[a]!;
    dw[b]! += x[i]! * dy[i]! * factor;
  });
  return { y, sums, energy: sums.map((v) => v * v), dx, dw };
}

const { device: gpuDevice, description } = await openDevice();
console.log(`WebGPU: ${description}`);

for (const device of [cpu(), webgpu(gpuDevice)]) {
  const test = suite(device.kind);
  const f32 = (shape: readonly number[], data: readonly number[]): Tensor =>
    device.tensor(shape, Float32Array.from(data));
  const [x, w, dy, de] = [values(48, 1), values(3, 2), values(48, 3), values(2, 4)];

  for (const layout of Object.keys(layouts) as Layout[]) {
    const { shape } = layouts[layout];
    test(`forward and backward, ${layout}`, async () => {
      const expected = reference(layout, x, w, dy, de);
      const tensors = { x: f32(shape, x), weight: f32([3], w) };
      const run = await device.run(scale, tensors, { g, training: false, factor }, { layout });
      await near(run.outputs.y, shape, expected.y);
      await near(run.outputs.sums, [2], expected.sums);
      await near(run.outputs.energy, [2], expected.energy);
      assert.equal(Object.keys(run.saved), ['doubled'], 'sums is an output already');
      const gradients = await run.backward({ y: f32(shape, dy), energy: f32([2], de) });
      await near(gradients.x, shape, expected.dx);
      await near(gradients.weight!, [3], expected.dw);
    });
  }

  const shape = [2, 6, 2, 2];
  const input = () => ({ x: f32(shape, x), weight: f32([3], w) });
  const attributes = { g, training: false, factor } as const;

  test('a gradient alone, and one by way of a larger subset', async () => {
    const expected = reference('n g k s', x, w, dy, de);
    const run = await device.run(scale, input(), attributes);
    const cotangents = { y: f32(shape, dy), energy: f32([2], de) };
    const one = await run.backward(cotangents, ['x']);
    assert.equal(Object.keys(one), ['x']);
    await near(one.x, shape, expected.dx);
    const other = await run.backward(cotangents, ['weight']);
    assert.equal(Object.keys(other), ['weight']);
    await near(other.weight, [3], expected.dw);
  });

  test('a cotangent left out counts as zero', async () => {
    const run = await device.run(scale, input(), attributes);
    const { x: dx } = await run.backward({ energy: f32([2], de) }, ['x']);
    await near(
      dx,
      shape,
      reference(
        'n g k s',
        x,
        w,
        dy.map(() => 0),
        de,
      ).dx,
    );
  });

  test('an optional tensor left out', async () => {
    const ones = [1, 1, 1];
    const run = await device.run(scale, { x: f32(shape, x), weight: null }, attributes);
    await near(run.outputs.y, shape, reference('n g k s', x, ones, dy, de).y);
    const gradients = await run.backward({ y: f32(shape, dy), energy: f32([2], de) });
    assert.equal(Object.keys(gradients), ['x']);
    await near(gradients.x, shape, reference('n g k s', x, ones, dy, de).dx);
  });

  test('states are updated in place, in training alone', async () => {
    const state = { total: f32([2], [10, 20]), calls: f32([2], [0, 0]) };
    const { sums } = reference('n g k s', x, w, dy, de);
    await device.run(scale, { ...input(), ...state }, attributes);
    await near(state.total, [2], [10, 20]);
    await device.run(scale, { ...input(), ...state }, { g, training: true });
    await near(state.total, [2], [10 + sums[0]!, 20 + sums[1]!]);
    await near(state.calls, [2], [1, 1]);
  });

  test('calls that share a state run in the order made, without waiting in between', async () => {
    const state = { total: f32([2], [0, 0]), calls: f32([2], [0, 0]) };
    const call = () => device.run(scale, { ...input(), ...state }, { g, training: true });
    await Promise.all([call(), call(), call()]);
    await near(state.calls, [2], [3, 3]);
  });

  test('empty tensors', async () => {
    const run = await device.run(scale, { x: f32([0, 6], []), weight: f32([3], w) }, attributes);
    await near(run.outputs.y, [0, 6], []);
    await near(run.outputs.sums, [2], [0, 0]);
    const gradients = await run.backward({ y: f32([0, 6], []) });
    await near(gradients.x, [0, 6], []);
    await near(gradients.weight!, [3], [0, 0, 0]);
  });

  test('tensors without data are zero', () => near(device.tensor([2, 2]), [2, 2], [0, 0, 0, 0]));
  test('plain arrays are copied', () => near(device.tensor([2], [1, 2]), [2], [1, 2]));
  test('a scalar', () => near(f32([], [7]), [], [7]));

  const call = (tensors: object, attrs: object = attributes, options: object = {}) =>
    device.run(scale as never, tensors as never, attrs as never, options as never) as Promise<unknown>;

  test('mistakes in tensors', async () => {
    const { x: given, weight } = input();
    await rejects(
      call({ x: given, wieght: weight }),
      'unknown-name',
      "unknown tensor 'wieght'; expected x, weight, total",
    );
    await rejects(call({ weight }), 'missing', 'scale: missing tensor x');
    await rejects(
      call({ x: given, total: f32([2], [0, 0]) }),
      'together',
      'total, calls must be given together',
    );
    await rejects(
      call({ x: given, weight: f32([4], [1, 2, 3, 4]) }),
      'shape',
      'weight has shape [4], which does not fit weight[k], k = 3 from x',
    );
    await rejects(
      call({ x: f32([6], values(6, 1)) }),
      'shape',
      'x has shape [6], which does not fit x[n, (g k), *s]',
    );
    await rejects(call({ x: cpu().tensor([2, 6]) }), 'device', 'x is no tensor of this device');
    await rejects(call({ x: [1, 2] as never }), 'device', 'x is no tensor of this device');
    assert.throws(() => f32([2, 2], [1, 2, 3]), /shape \[2,2\] takes an array of 4 numbers, not 3 of/);
    assert.throws(() => f32([-1], []), /a shape is an array of whole numbers, not -1/);
  });

  test('mistakes in attributes', async () => {
    await rejects(
      call(input(), { training: false, g, facter: 1 }),
      'unknown-name',
      "unknown attribute 'facter'",
    );
    await rejects(call(input(), { g }), 'missing', 'missing attribute training (bool)');
    await rejects(
      call(input(), { g, training: 1 }),
      'type',
      'attribute training must be of type bool, not the number 1',
    );
    await rejects(
      call(input(), { g: 1.5, training: false }),
      'type',
      'attribute g must be a size (int), not the number 1.5',
    );
    await rejects(
      call(input(), { g: -2, training: false }),
      'type',
      'attribute g must be a size (int), not the number -2',
    );
    await rejects(
      call(input(), attributes, { layout: 'n c' }),
      'unknown-name',
      "unknown layout 'n c'; expected n g k s,",
    );
  });

  test('what callers without types leave out or confuse', async () => {
    const run = device.run as unknown as (...given: unknown[]) => Promise<Untyped>;
    const tensor = device.tensor as unknown as (...given: unknown[]) => unknown;
    for (const op of [undefined, null, 'scale', { scale }])
      await rejects(run(op, input(), attributes), 'missing', 'run: no op was given');
    for (const none of [undefined, null])
      await rejects(run(scale, none, attributes), 'missing', 'missing tensor x');
    await rejects(run(scale, input()), 'missing', 'missing attribute training (bool)');
    await rejects(run(scale, input(), null, null), 'missing', 'missing attribute training (bool)');
    for (const one of [undefined, null, 4, '4', {}, Array(2)])
      assert.throws(() => tensor(one), /a shape is an array of whole numbers, not/);
    for (const data of [7, 'ab', {}, [[1], [2]], new ArrayBuffer(8), new BigInt64Array(2)])
      assert.throws(() => tensor([2], data), /shape \[2\] takes an array of 2 numbers, not/);

    const { backward, jvp, doubleBackward } = await run(scale, { x: f32(shape, x) }, attributes);
    const y = f32(shape, dy);
    await rejects(backward(), 'missing', 'no cotangent was given; expected y, energy');
    await rejects(backward({ y }, 'weight'), 'missing', 'weight was not given');
    assert.equal(Object.keys((await backward({ y }, 'x')) as object), ['x']);
    await rejects(jvp(), 'missing', 'no tangent was given; expected x');
    await rejects(doubleBackward(), 'missing', 'no cotangent was given; expected y, energy');
    await rejects(doubleBackward({ y }), 'missing', 'no cotangent2 was given; expected x');
  });

  test('a split is inferred from another tensor', async () => {
    const run = await device.run(scale, input(), { training: false });
    assert.equal(run.outputs.sums.shape, [2]);
    await rejects(
      call({ x: f32(shape, x) }, { training: false }),
      'shape',
      'cannot tell the sizes of g and k',
    );
  });

  test('requirements on variants and on sizes', async () => {
    await rejects(
      call(input(), { g, training: true }),
      'requirement',
      'scale: total must be given in training',
    );
    await rejects(call({ x: f32([13, 2], values(26, 1)) }), 'requirement', 'scale: n must not be 13');
  });

  test('mistakes in backward', async () => {
    const run = await device.run(scale, { x: f32(shape, x) }, attributes);
    const y = f32(shape, dy);
    const wrong = run.backward as unknown as (cotangents: object, wrt?: string[]) => Promise<unknown>;
    await rejects(wrong({}), 'missing', 'no cotangent was given; expected y, energy');
    await rejects(wrong({ sums: y }), 'unknown-name', "unknown cotangent 'sums'; expected y, energy");
    await rejects(
      wrong({ y: f32([48], dy) }),
      'shape',
      'the cotangent of y has shape [48], expected [2,6,2,2]',
    );
    await rejects(wrong({ y }, ['weight']), 'missing', 'weight was not given');
    await rejects(wrong({ y }, ['total']), 'unknown-name', "unknown wrt 'total'; expected x, weight");
    await rejects(wrong({ y }, []), 'missing', 'no differentiable input was given; expected x, weight');
  });

  test('disposal', async () => {
    const given = input();
    const run = await device.run(scale, given, attributes);
    const y = f32(shape, dy);
    run.outputs.y.dispose();
    run.outputs.y.dispose();
    assert.ok(run.outputs.y.disposed);
    await rejects(run.outputs.y.read(), 'disposed', 'the tensor of shape [2,6,2,2] was disposed');
    await run.backward({ y });
    given.weight.dispose();
    await rejects(call(given), 'disposed', 'tensor weight was disposed');
    await rejects(
      run.backward({ y }),
      'disposed',
      'scale: weight was disposed, but backward for x,weight needs it',
    );
    const other = await device.run(scale, input(), attributes);
    other.outputs.sums.dispose();
    await rejects(
      other.backward({ y }),
      'disposed',
      'scale: sums was disposed, but backward for x,weight needs it',
    );
    const third = await device.run(scale, input(), attributes);
    third.dispose();
    await rejects(third.backward({ y }), 'disposed', 'this run was disposed');
    await near(third.outputs.sums, [2], reference('n g k s', x, w, dy, de).sums);
  });

  test('a state must not share memory with another tensor', async () => {
    const total = f32([2], [0, 0]);
    const tensors = { x: f32(shape, x), total, calls: total };
    await device.run(scale, tensors, attributes);
    await rejects(call(tensors, { g, training: true }), 'aliasing', 'calls and total share memory');
  });

  test.run();
}
