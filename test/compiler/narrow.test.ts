/** Short rows, which WebAssembly walks several of as one: any width and number of rows, whatever the tensors are like. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { lowerEntry } from '../../compiler/graph/formulas.ts';
import { variantsOf } from '../../compiler/spec/variants.ts';
import { callOf } from './calls.ts';
import { alone, compiled, runSuites, type Shape } from './columns.ts';
import { farthest } from './near.ts';
import { typescript64 } from './targets.ts';

runSuites('narrow', [
  ...[0, 1, 2, 3, 7, 100, 700].flatMap((rows) =>
    (rows < 7 ? [1, 3, 12] : [1, 2, 3, 5, 8, 12, 16, 31]).map((width): Shape => [rows, width]),
  ),
  ...([5003, 9000] as const).flatMap((rows) => [1, 3, 31].map((width): Shape => [rows, width])),
  ...[48, 63, 64, 100, 255, 256, 1027].map((width): Shape => [70, width]),
]);

const far = suite('narrow, far means');
for (const [rows, width] of [
  [5003, 3],
  [100, 5],
] as const) {
  far(`${rows} rows of ${width} about 1e6`, async () => {
    const of = new Map([
      ['n', 1],
      ['s', rows],
      ['c', width],
    ]);
    const entry = compiled.entries.find((e) => e.name === 'norm')!;
    const call = callOf(lowerEntry(entry, variantsOf(entry)[0]!), { title: 'far', of, folds: new Map() });
    const { shape, data } = call.inputs.get('x')!;
    const x = { shape, data: [...data].map((v) => Math.fround(1e6 + v)) };
    const moved = { ...call, inputs: new Map([...call.inputs, ['x', x]]) };
    const [found, exact] = await Promise.all(
      [alone, typescript64].map(async (target) => {
        const session = await startSession(target, compiled[target.of].get('norm')!, moved);
        const outputs = await session.outputs();
        session.dispose();
        return outputs.get('y')!;
      }),
    );
    // the mean is rounded to a sixteenth where it is handed over
    const wrong = farthest([...found!], [...exact!], 0.1, 1);
    assert.not(wrong, wrong);
  });
}
far.run();
