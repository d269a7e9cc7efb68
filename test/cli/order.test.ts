/** The order of convergence tells a right derivation from a wrong one. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { convergenceOf, leastOrder } from '../../cli/verify/order.ts';
import { type Graphs, graphsOf } from '../../cli/verify/reference.ts';
import { type Sample, sample } from '../../cli/verify/samples.ts';
import { mul, number } from '../../compiler/graph/build.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';
import { variantsOf } from '../../compiler/spec/variants.ts';

function graphsFor(text: string, name: string): Graphs {
  const entry = parseSpec(text, 'spec.yaml').spec.entries.find((candidate) => candidate.name === name)!;
  return graphsOf(entry, variantsOf(entry)[0]!);
}

const shipped = readFileSync('derivatives.yaml', 'utf8');
const sampleOf = (graphs: Graphs): Sample => sample(graphs.forward, 'small', 'order', 0)!;

const order = suite('order of convergence');

order('two for what is right, in every direction', () => {
  const graphs = graphsFor(shipped, 'batch_norm');
  const found = convergenceOf(graphs, sampleOf(graphs));
  assert.equal(
    found.map(({ what }) => what),
    ['backward', 'jvp', 'double_backward'],
  );
  for (const { order: seen, sweep } of found) {
    assert.ok(Math.abs(seen - 2) < 1e-3, String(seen));
    // a hundredth of the step, a ten thousandth of the error
    for (const [i, { error }] of sweep.entries())
      if (i > 0) assert.ok(Math.abs(Math.log10(sweep[i - 1]!.error / error) - 4) < 0.1);
  }
});

order('two samples a channel and huge means, where f64 cannot tell', () => {
  const graphs = graphsFor(shipped, 'batch_norm');
  const small = sampleOf(graphs);
  const sizes = new Map([...small.sizes].map(([axis]) => [axis, axis === 's' ? 1 : 2]));
  const numbers = { ...small.numbers, ...Object.fromEntries(sizes) };
  const cut = (tensors: Sample['inputs'], shift = 0): Sample['inputs'] =>
    new Map(
      [...tensors].map(([name, { axes, data }]) => {
        const count = axes.reduce((product, axis) => product * sizes.get(axis)!, 1);
        return [name, { axes, data: data.slice(0, count).map((x) => (name === 'x' ? x + shift : x)) }];
      }),
    );
  const { inputs, cotangents, tangents, cotangents2 } = small;
  const pair: Sample = {
    ...small,
    sizes,
    numbers,
    inputs: cut(inputs, 1e8),
    cotangents: cut(cotangents),
    tangents: cut(tangents),
    cotangents2: cut(cotangents2),
  };
  for (const { what, order: seen } of convergenceOf(graphs, pair))
    assert.ok(seen >= leastOrder, `${what} ${seen}`);
});

order('none for what is off by a millionth', () => {
  const graphs = graphsFor(shipped, 'rms_norm');
  const off = (targets: Graphs['gradients']): Graphs['gradients'] =>
    targets.map((target) => ({ ...target, expr: mul(number('1.000001'), target.expr) }));
  const wrong: Graphs = { ...graphs, tangents: off(graphs.tangents), second: off(graphs.second) };
  const [backward, jvp, double] = convergenceOf(wrong, sampleOf(graphs));
  assert.ok(backward!.order >= leastOrder);
  assert.ok(jvp!.order < 0.5 && double!.order < 0.5);
});

order('a polynomial of degree 2 is exact', () => {
  const graphs = graphsFor('- name: f(Tensor x[n]) -> Tensor y[n]\n  forward:\n    y: x ^ 2\n', 'f');
  for (const { order: seen } of convergenceOf(graphs, sampleOf(graphs))) assert.is(seen, Infinity);
});

order('a kink within reach of the steps shows', () => {
  const graphs = graphsFor('- name: f(Tensor x[n]) -> Tensor y[n]\n  forward:\n    y: abs(x)\n', 'f');
  const near = sampleOf(graphs);
  const x = near.inputs.get('x')!;
  const inputs = new Map([['x', { ...x, data: x.data.map(() => 1e-11) }]]);
  const [backward] = convergenceOf(graphs, { ...near, inputs });
  assert.ok(backward!.order < leastOrder);
  assert.is(convergenceOf(graphs, near)[0]!.order, Infinity);
});

order.run();
