import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cpu } from '../../runtime/index.ts';
import { near, rejects } from './near.ts';
import { scale } from './scale.ts';

const device = cpu({ target: 'typescript' });
const attributes = { g: 2, training: false, factor: 3 } as const;

test('a typed array is used itself, and read gives a copy', async () => {
  const data = Float64Array.of(1, 2);
  const tensor = device.tensor([2], data);
  assert.is(tensor.storage, data);
  assert.is(tensor.dtype, 'f64');
  const copy = await tensor.read();
  data[0] = 5;
  assert.is(copy[0], 1);
});

test('data of another type is converted', () => {
  assert.equal(device.tensor([1], Float32Array.of(1), 'f64').storage, Float64Array.of(1));
  assert.equal(device.tensor([1], [0.1]).storage, Float32Array.of(0.1));
});

test('f64 is kept throughout', () => {
  const run = device.runSync(scale, { x: device.tensor([1, 2], Float64Array.of(0.1, 0.2)) }, attributes);
  assert.equal(run.outputs.y.storage, Float64Array.of(0.1 * 3, 0.2 * 3));
  assert.is(run.saved.doubled?.dtype, 'f64');
});

test('types must agree', () => {
  const x = device.tensor([1, 2], Float64Array.of(1, 2));
  const weight = device.tensor([1], Float32Array.of(1));
  assert.throws(
    () => device.runSync(scale, { x, weight }, attributes),
    /^scale: tensor weight is f32, but the call is f64$/,
  );
  assert.throws(
    () => device.runSync(scale, { weight, x: weight }, attributes, { dtype: 'f64' }),
    /^scale: tensor x is f32, but the call is f64$/,
  );
  const run = device.runSync(scale, { x }, attributes, { dtype: 'f64' });
  assert.throws(
    () => run.backward({ y: device.tensor([1, 2]) }),
    /^scale: cotangent y is f32, but the call is f64$/,
  );
});

test('runSync has its results at once', () => {
  const x = device.tensor([1, 2], Float32Array.of(1, 2));
  const run = device.runSync(scale, { x }, attributes);
  const { x: dx } = run.backward({ y: device.tensor([1, 2], Float32Array.of(1, 1)) }, ['x']);
  assert.equal(dx.storage, Float32Array.of(3, 3));
});

test('forward mode', async () => {
  const run = await device.run(scale, { x: device.tensor([1, 2], [1, 2]) }, attributes);
  const tangents = await run.jvp({ x: device.tensor([1, 2], [1, 10]) });
  await near(tangents.y, [1, 2], [3, 30]);
  await near(tangents.energy, [2], [2, 40]);
  const wrong = run.jvp as (tangents: object) => Promise<unknown>;
  await rejects(wrong({}), 'missing', 'no tangent was given; expected x');
  await rejects(
    wrong({ weight: device.tensor([1]) }),
    'unknown-name',
    "unknown tangent 'weight'; expected x",
  );
});

test('double backward', async () => {
  const run = await device.run(scale, { x: device.tensor([1, 2], [1, 2]) }, attributes);
  const cotangents = { energy: device.tensor([2], [1, 2]) };
  const second = await run.doubleBackward(cotangents, { x: device.tensor([1, 2], [1, 10]) });
  assert.equal(Object.keys(second).sort(), ['grad_energy', 'grad_y', 'x']);
  await near(second.grad_y!, [1, 2], [3, 30]);
  await near(second.grad_energy!, [2], [2, 40]);
  await near(second.x!, [1, 2], [2, 40]);
});

test('a direction that was not generated', async () => {
  const tensors = { x: device.tensor([1, 2], [1, 2]), weight: device.tensor([1], [1]) };
  const run = await device.run(scale, tensors, attributes);
  await rejects(
    run.jvp({ x: device.tensor([1, 2]) }),
    'not-generated',
    'scale: forward mode was not generated: see generate, wrt, --target',
  );
  const second = run.doubleBackward({ y: device.tensor([1, 2]) }, { x: device.tensor([1, 2]) });
  await rejects(second, 'not-generated', 'double backward for x was not generated');
});

test('views of one array may be states if they do not overlap', () => {
  const data = new Float32Array(4);
  const x = device.tensor([1, 2], [1, 2]);
  const view = (from: number) => device.tensor([2], data.subarray(from, from + 2));
  device.runSync(scale, { x, total: view(0), calls: view(2) }, { g: 2, training: true });
  assert.equal(data, Float32Array.of(1, 2, 1, 1));
  const overlapping = () =>
    device.runSync(scale, { x, total: view(0), calls: view(1) }, { g: 2, training: true });
  assert.throws(overlapping, /calls and total share memory/);
});

test('options as callers without types may give them', () => {
  const untyped = cpu as (options?: unknown) => ReturnType<typeof cpu>;
  assert.is(untyped(null).kind, 'cpu');
  assert.throws(() => untyped({ target: 'x' }), /^unknown target 'x'; expected wasm, typescript$/);
  const { tensor } = untyped() as unknown as { tensor: (...given: unknown[]) => unknown };
  assert.throws(() => tensor([1], [1], 'f16'), /^unknown dtype 'f16'; expected f32, f64$/);
});

test.run();
