/** Entries whose columns are reduced and mapped in every way, and what is checked of them at any number of rows and width. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startSession } from '../../cli/session.ts';
import { lowerEntry } from '../../compiler/graph/formulas.ts';
import { variantsOf } from '../../compiler/spec/variants.ts';
import { cpu } from '../../runtime/index.ts';
import { callOf, givenOf, randomLike, type Sizes } from './calls.ts';
import { farthest } from './near.ts';
import type { Named } from './oracle.ts';
import {
  compileSpec,
  everyDirection,
  generating,
  interpreter,
  type Target,
  typescript64,
  wasm,
} from './targets.ts';

const many = Array.from({ length: 70 }, (_, k) => k + 1);
const text = `
# moments, what is prepared and what is packed
- name: norm(Tensor x[n, s, c], Tensor weight[c], Tensor bias[c]) -> (Tensor y[n, s, c], Tensor m[c])
  forward: {m: "mean(x, n, s)", y: "(x - m) / sqrt(var(x, n, s) + 1e-3) * weight + bias"}
- name: frozen(Tensor x[n, s, c], Tensor weight[c], Tensor bias[c], Tensor m[c], Tensor var[c]) -> Tensor y[n, s, c]
  forward: {y: "(x - m) / sqrt(var + 1e-3) * weight + bias"}
- name: extremes(Tensor x[s, c]) -> (Tensor high[c], Tensor low[c], Tensor total[c])
  forward: {high: "amax(x, s)", low: "amin(x, s)", total: "sum(x, s)"}
- name: powers(Tensor x[s, c]) -> (Tensor y[c], Tensor top[c])
  forward: {y: "prod(1 + x / 1e3, s)", top: "amax(x ^ 2, s)"}
# an output stored while sums are taken
- name: rider(Tensor x[s, c], Tensor w[c]) -> (Tensor y[s, c], Tensor total[c])
  forward: {y: "tanh(x * w)", total: "sum((x - w) ^ 2, s)"}
- name: masks(Tensor x[s, c], Tensor w[c], Tensor v[c]) -> (Tensor y[s, c], Tensor total[c])
  forward: {y: "w < v and x < w ? x * v : 0", total: "sum(x < v ? x : w, s)"}
# what varies from row to row alone
- name: per_row(Tensor x[s, c], Tensor w[s], Tensor v[c]) -> (Tensor y[s, c], Tensor total[c])
  forward: {y: "x * w + v", total: "sum(x * w, s)"}
# of the summed axes, some tensors have the outer one alone, or it and the columns
- name: per_sample(Tensor x[n, s, c], Tensor w[n]) -> (Tensor total[c], Tensor y[n, s, c])
  forward: {total: "sum(w * x ^ 2, n, s)", y: "w * x"}
- name: modulated(Tensor x[n, s, c], Tensor w[n, c], Tensor v[c]) -> (Tensor y[n, s, c], Tensor top[n, c], Tensor all[c])
  forward: {y: "(x - mean(x, s)) * exp(w) + v", top: "amax(x, s)", all: "sum(w * sin(x), n, s)"}
- name: per_activation(Tensor x[n, c, s], Tensor w[c, s], Tensor v[s]) -> Tensor y[n, c, s]
  forward: {y: "(x - mean(x, n)) * w + v"}
# rows that are visited with the columns they are summed into: gradients, what the sum waits for, and moments
- name: layer(Tensor x[s, c], Tensor weight[c], Tensor bias[c]) -> Tensor y[s, c]
  forward: {y: "(x - mean(x, c)) / sqrt(var(x, c) + 1e-3) * weight + bias"}
- name: waiting(Tensor x[s, c], Tensor w[c]) -> (Tensor y[s, c], Tensor total[c])
  forward: {m: "mean(x, c)", y: "(x - m) * w", total: "sum(sin(x - m), s)"}
- name: beside(Tensor x[s, c], Tensor w[c]) -> (Tensor y[s, c], Tensor m[c], Tensor v[c])
  forward: {y: "x * w - mean(x * w, c)", m: "mean(x, s)", v: "var(x, s)"}
# whose second order finds small values that sums down columns hand over
- name: gated(Tensor x[s, c], Tensor up[s, c], Tensor w[c]) -> Tensor y[s, c]
  forward: {h: "(x - mean(x, c)) / sqrt(var(x, c) + 1e-3) * w", y: "h * sigmoid(h) * up"}
# more than a thread has room for
- name: many(Tensor x[s, c], Tensor w[c]) -> (${many.map((k) => `Tensor y${k}[c]`).join(', ')})
  forward: {${many.map((k) => `y${k}: "sum(min(x, w * ${k}), s)"`).join(', ')}}
`;

export const compiled = await compileSpec(generating(text, everyDirection), {
  targets: ['typescript', 'wasm'],
});
export const alone: Target = {
  ...wasm,
  name: 'wasm, one thread',
  device: cpu({ target: 'wasm', threads: 1 }),
};

/** What sums along rows, too. */
export const alongRows: readonly string[] = ['layer', 'waiting', 'beside', 'gated'];
const otherNames = compiled.entries.map(({ name }) => name).filter((name) => !alongRows.includes(name));

export type Shape = readonly [rows: number, width: number];

/** Everything that can be asked of an entry. */
async function resultsOf(target: Target, name: string, sizes: Sizes): Promise<Map<string, number[]>> {
  const entry = compiled.entries.find((e) => e.name === name)!;
  const forward = lowerEntry(entry, variantsOf(entry)[0]!);
  const session = await startSession(target, compiled[target.of].get(name)!, callOf(forward, sizes));
  const cotangents = randomLike(entry.returns, sizes, 'cotangents');
  const tangents = randomLike(givenOf(forward), sizes, 'tangents');
  const found = new Map<string, number[]>();
  const add = (what: string, named: Named): void => {
    for (const [of, numbers] of named) found.set(`${what} ${of}`, [...numbers]);
  };
  add('output', await session.outputs());
  add('gradient', await session.gradients(cotangents));
  add('tangent', await session.tangents(tangents));
  // many of them take long to compare and add nothing
  if (name !== 'many') add('second', await session.second(cotangents, tangents));
  session.dispose();
  return found;
}

/** A suite for each of the entries: one thread as all threads, and both as float64. */
export function runSuites(
  title: string,
  shapes: readonly Shape[],
  names: readonly string[] = otherNames,
): void {
  for (const { name, axes } of compiled.entries) {
    if (!names.includes(name)) continue;
    const test = suite(`${title}, ${name}`);
    for (const [rows, width] of shapes) {
      if (name === 'many' && rows !== 100) continue;
      const of = new Map(
        axes.map((axis) => [axis, axis === axes.at(-1) ? width : axis === axes.at(-2) ? rows : 2]),
      );
      const sizes: Sizes = { title: `${rows} rows of ${width}`, of, folds: new Map() };
      test(sizes.title, async () => {
        const found = await resultsOf(alone, name, sizes);
        assert.equal(await resultsOf(wasm, name, sizes), found, 'two threads');
        const isSmall = rows * width < 100 && name !== 'many';
        for (const target of isSmall ? [typescript64, interpreter] : [typescript64]) {
          for (const [what, numbers] of await resultsOf(target, name, sizes)) {
            // extrema of nothing
            if (rows === 0 && !numbers.every(Number.isFinite)) continue;
            const wrong = farthest(found.get(what)!, numbers, 2e-5, 1);
            assert.not(wrong, `${what}, ${target.name}: ${wrong}`);
          }
        }
      });
    }
    test.run();
  }
}
