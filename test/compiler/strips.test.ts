/** Rows that summed axes lie outside of, in data larger than caches: WebAssembly goes through them in the order of memory. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { lowerEntry } from '../../compiler/graph/formulas.ts';
import { variantsOf } from '../../compiler/spec/variants.ts';
import { cpu } from '../../runtime/index.ts';
import { callOf, randomLike, type Sizes } from './calls.ts';
import { farthest } from './near.ts';
import { compileSpec, generating, type Target, typescript64, wasm } from './targets.ts';

const text = `
- name: norm(Tensor x[n, c, s], Tensor weight[c], Tensor bias[c]) -> Tensor y[n, c, s]
  forward: {y: "(x - mean(x, n, s)) / sqrt(var(x, n, s) + 1e-3) * weight + bias"}
# elements stored while others are summed: in forward, and in the backward of what does not wait for the sum
- name: rider(Tensor x[n, c, s], Tensor w[c]) -> (Tensor y[n, c, s], Tensor total[c])
  forward: {y: "tanh(x * w)", total: "sum((x - w) ^ 2, n, s)"}
- name: frozen(Tensor x[n, c, s], Tensor weight[c], Tensor bias[c]) -> Tensor y[n, c, s]
  forward: {y: "x * weight + bias"}
# axes that are kept, and not walked as one
- name: groups(Tensor x[n, g, c, s], Tensor w[c], Tensor v[g]) -> (Tensor y[n, g, c, s], Tensor top[g, c])
  forward: {y: "(x - mean(x, n, s)) * w + v", top: "amax(x, n, s)"}
# one element at a time
- name: powers(Tensor x[n, c, s]) -> (Tensor y[n, c, s], Tensor top[c])
  forward: {top: "amax(x ^ 2, n, s)", y: "x / top"}
`;
const compiled = await compileSpec(generating(text, ['backward']), { targets: ['typescript', 'wasm'] });

const alone: Target = { ...wasm, name: 'wasm, one thread', device: cpu({ target: 'wasm', threads: 1 }) };

/** Whole rows, some of them, pieces of them, more than there are strips, and few kept indices. */
const shapes = [
  [29, 73, 497],
  [131, 250, 33],
  [40, 16, 1700],
  [1100, 30, 35],
  [7, 3, 50_001],
] as const;

async function resultsOf(target: Target, name: string, sizes: Sizes): Promise<Map<string, number[]>> {
  const entry = compiled.entries.find((e) => e.name === name)!;
  const forward = lowerEntry(entry, variantsOf(entry)[0]!);
  const session = await startSession(target, compiled[target.of].get(name)!, callOf(forward, sizes));
  const outputs = await session.outputs();
  const gradients = await session.gradients(randomLike(entry.returns, sizes, 'cotangents'));
  session.dispose();
  const named = [
    ...outputs,
    ...[...gradients].map(([of, numbers]) => [`gradient of ${of}`, numbers] as const),
  ];
  return new Map(named.map(([of, numbers]) => [of, [...numbers]]));
}

for (const { name, axes } of compiled.entries) {
  const test = suite(`strips, ${name}`);
  for (const [n, c, s] of shapes) {
    const of = new Map(
      axes.map((axis) => [axis, axis === 'n' ? n : axis === 'c' ? c : axis === 's' ? s : 2]),
    );
    const sizes: Sizes = { title: `${n} times ${c} rows of ${s}`, of, folds: new Map() };
    test(sizes.title, async () => {
      const found = await resultsOf(alone, name, sizes);
      assert.equal(await resultsOf(wasm, name, sizes), found, 'two threads');
      for (const [what, numbers] of await resultsOf(typescript64, name, sizes)) {
        const wrong = farthest(found.get(what)!, numbers, 2e-5, 1);
        assert.not(wrong, `${what}: ${wrong}`);
      }
    });
  }
  test.run();
}
