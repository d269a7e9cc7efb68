/** Reductions of no elements are the same on every target: the sum is 0, and what is divided by their number is NaN. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { compileSpec, interpreter, typescript32, typescript64, wasm, wgsl } from './targets.ts';

const entry = (name: string, x: string): string => `
- name: ${name}(Tensor x[${x}]) -> (Tensor total[c], Tensor average[c], Tensor spread[c])
  forward:
    total: sum(x, n)
    average: mean(x, n)
    spread: var(x, n)
`;

const compiled = await compileSpec(entry('rows', 'c, n') + entry('columns', 'n, c'));
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
}
test.after(() => compiled.dispose());
test.run();
