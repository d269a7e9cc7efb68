/**
 * Reductions of no elements are the same on every target: the sum is 0, and what is divided by their number is NaN. A
 * gradient is a sum over elements, so without any it is 0 of first and second order, also of what is NaN itself. And of
 * equal elements, the mean is each of them.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import {
  compileSpec,
  everyDirection,
  generating,
  interpreter,
  typescript32,
  typescript64,
  wasm,
  wgsl,
} from './targets.ts';

const entry = (name: string, x: string): string => `
- name: ${name}(Tensor x[${x}]) -> (Tensor total[c], Tensor average[c], Tensor spread[c])
  forward:
    total: sum(x, n)
    average: mean(x, n)
    spread: var(x, n)
`;

const averages = `
- name: averages(Tensor x[n, c], Tensor w[c]) -> (Tensor y[c], Tensor z[c])
  forward: {y: "mean(x, n)", z: "var(x, n) + 2 * w"}
`;
const centred = `
- name: centred(Tensor x[n], Tensor b[]) -> Tensor y[n]
  forward: {y: "(x - mean(x, n)) / sqrt(var(x, n) + 1e-5) + b"}
`;
const specs = entry('rows', 'c, n') + entry('columns', 'n, c') + averages + centred;
const compiled = await compileSpec(generating(specs, everyDirection));
const gpu = await wgsl();
const test = suite('empty');
for (const target of [interpreter, typescript64, typescript32, wasm, gpu]) {
  for (const [name, shape] of [
    ['rows', [2, 0]],
    ['columns', [0, 2]],
  ] as const) {
    test(`${name} on ${target.name}`, async () => {
      const call = { inputs: new Map([['x', { shape: [...shape], data: [] }]]), attributes: {} };
      const session = await startSession(target, compiled[target.of].get(name)!, call);
      const outputs = await session.outputs();
      session.dispose();
      assert.equal([...outputs.get('total')!], [0, 0]);
      for (const of of ['average', 'spread'])
        assert.equal([...outputs.get(of)!], [Number.NaN, Number.NaN], of);
    });
  }
  test(`gradients on ${target.name}`, async () => {
    const inputs = new Map([
      ['x', { shape: [0, 2], data: [] }],
      ['w', { shape: [2], data: [1, 2] }],
    ]);
    const session = await startSession(target, compiled[target.of].get('averages')!, {
      inputs,
      attributes: {},
    });
    const cotangents = new Map(['y', 'z'].map((name) => [name, [1, 2]]));
    const second = await session.second(
      cotangents,
      new Map([
        ['w', [3, 4]],
        ['x', []],
      ]),
    );
    const gradients = await session.gradients(cotangents);
    session.dispose();
    const all = [...gradients, ...second].map(([name, data]) => [name, [...data]]);
    assert.equal(Object.fromEntries(all), { w: [0, 0], x: [], grad_y: [0, 0], grad_z: [6, 8] });
    assert.equal([...gradients.get('w')!], [2, 4]);
  });
}
for (const target of [interpreter, typescript64, typescript32, wasm, gpu]) {
  test(`nothing is left of a constant from its mean on ${target.name}`, async () => {
    const inputs = new Map([
      ['x', { shape: [3], data: [7.1, 7.1, 7.1] }],
      ['b', { shape: [], data: [0.3] }],
    ]);
    const call = { inputs, attributes: {} };
    const session = await startSession(target, compiled[target.of].get('centred')!, call);
    const b = target.dtype === 'f64' ? 0.3 : Math.fround(0.3);
    assert.equal([...(await session.outputs()).get('y')!], [b, b, b]);
    session.dispose();
  });
}
test.after(() => compiled.dispose());
test.run();
