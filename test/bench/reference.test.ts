import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { disagreement } from '../../bench/agree.ts';
import { allCases, type Case, inputsOf, smallCases } from '../../bench/cases.ts';
import { type Data, drawData } from '../../bench/data.ts';
import { createReference, type Results } from '../../bench/reference.ts';

/** One case of each op, layout and mode, with all gradients. */
const steps = smallCases(allCases()).filter(({ task }) => task === 'step');

const reference = (row: Case, data: Data): Results => createReference(row, data)(row);

/** <dy, y> with one element of one input moved. */
function loss(row: Case, data: Data, name: keyof Data, at: number, by: number): number {
  const moved = data[name].slice();
  moved[at] = moved[at]! + by;
  const y = reference({ ...row, task: 'forward' }, { ...data, [name]: moved }).get('y')!;
  return data.dy.reduce((total, ct, i) => total + ct * y[i]!, 0);
}

for (const row of steps) {
  test(`gradients are differences: ${row.op} ${row.layout} ${row.training}`, () => {
    const [data] = drawData(row) as [Data];
    const results = reference(row, data);
    // A step that float32 holds exactly, so that both sides are moved by the same.
    const h = 2 ** -10;
    for (const name of inputsOf(row.op) as (keyof Data)[]) {
      const at = data[name].length - 2;
      const difference = (loss(row, data, name, at, h) - loss(row, data, name, at, -h)) / (2 * h);
      const gradient = results.get(`d${name}`)![at]!;
      assert.ok(Math.abs(difference - gradient) < 1e-4, `${name}: ${gradient} but ${difference}`);
    }
  });
}

test('normalises', () => {
  const row = steps.find(({ op, layout, training }) => op === 'batch_norm' && layout === 'last' && training)!;
  const [data] = drawData(row) as [Data];
  const plain = { ...data, weight: data.weight.map(() => 1), bias: data.bias.map(() => 0) };
  const y = Array.from(reference(row, plain).get('y')!);
  const channel = y.filter((_, i) => i % plain.weight.length === 5);
  const mean = channel.reduce((a, b) => a + b, 0) / channel.length;
  const square = channel.reduce((a, b) => a + b * b, 0) / channel.length;
  assert.ok(Math.abs(mean) < 1e-9);
  assert.ok(Math.abs(square - 1) < 1e-4);
});

test('the second derivative is symmetric', () => {
  const row = smallCases(allCases()).find(({ task }) => task === 'double backward')!;
  const [first, other] = drawData(row) as [Data, Data];
  const along = (v: Data, w: Data) => {
    const second = reference(row, { ...first, v_x: v.v_x, v_weight: v.v_weight, v_bias: v.v_bias });
    const dot = (a: ArrayLike<number>, b: Float32Array) =>
      b.reduce((total, value, i) => total + value * a[i]!, 0);
    return dot(second.get('x')!, w.v_x) + dot(second.get('weight')!, w.v_weight);
  };
  assert.ok(Math.abs(along(first, other) - along(other, first)) < 1e-5);
});

test('tells what is wrong', () => {
  const expected: Results = new Map([['y', [1, -2, 4]]]);
  const of = (values: number[]) => disagreement(expected, new Map([['y', values]]));
  assert.is(of([1, -2, 4.001]), undefined);
  assert.is(of([1, -2, 4.1]), 'y is off by 2.5e-2 of its largest value');
  assert.is(of([Number.NaN, -2, 4]), 'y is off by NaN of its largest value');
  assert.is(of([1, -2]), 'y has 2 elements instead of 3');
  assert.is(disagreement(expected, new Map()), 'y has no elements instead of 3');
  assert.is(disagreement(new Map([['running_mean', [1]]]), new Map()), undefined);
});

test.run();
