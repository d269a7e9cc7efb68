/** Variants: which there are, in which order, and what they settle. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseSpec } from '../../compiler/spec/parse.ts';
import { staticTruth, variantKey, variantsOf } from '../../compiler/spec/variants.ts';
import { entryOf, entryWith, text } from './batch-norm.ts';

const test = suite('variants');
const keysOf = (spec: string): string[] => {
  const entry = entryOf(spec);
  return variantsOf(entry).map((variant) => variantKey(entry, variant));
};

test("the contract's example has twelve", () => {
  assert.equal(keysOf(text), [
    'weight bias running_mean running_var training',
    'weight bias running_mean running_var',
    'weight bias training',
    'weight running_mean running_var training',
    'weight running_mean running_var',
    'weight training',
    'bias running_mean running_var training',
    'bias running_mean running_var',
    'bias training',
    'running_mean running_var training',
    'running_mean running_var',
    'training',
  ]);
});

test('an entry without choices has one', () => {
  assert.equal(keysOf('- name: f(Tensor x[n]) -> Tensor y[n]\n  forward: {y: x}\n'), ['']);
});

test('overlapping groups are one', () => {
  const keys = keysOf(`- name: f(Tensor x[n], Tensor? a[n], Tensor? b[n], Tensor? c[n]) -> Tensor y[n]
  together: [[a, b], [c, b]]
  forward: {y: x}
`);
  assert.equal(keys, ['a b c', '']);
});

const truths: readonly (readonly [string, (boolean | undefined)[]])[] = [
  // In the variants w training, w, training and none.
  ['training', [true, false, true, false]],
  ['given(w) and not training', [false, true, false, false]],
  ['training or eps > 0', [true, undefined, true, undefined]],
  ['eps > 0 and training', [undefined, false, undefined, false]],
  ['training ? given(w) : true', [true, true, false, true]],
  ['eps > 0 ? training : true', [true, undefined, true, undefined]],
  ['count(n) > 1', [undefined, undefined, undefined, undefined]],
];
for (const [condition, expected] of truths) {
  test(condition, () => {
    const entry = entryWith({ t: condition, y: 'x' });
    const actual = variantsOf(entry).map((variant) => staticTruth(entry.forward[0]!.formula, variant));
    assert.equal(actual, expected);
  });
}

test('what is not evaluated is not read', () => {
  const codesOf = (forward: string): string[] =>
    parseSpec(
      `- name: f(Tensor x[n], Tensor? w[n], Tensor(a!)? m[n], *, bool b) -> Tensor y[n]\n  forward:\n    y: "${forward}"\n  update: {m: m * 2}\n`,
      'spec.yaml',
    ).diagnostics.map(({ code }) => code);
  assert.equal(codesOf('given(w) ? x * w : x'), []);
  assert.equal(codesOf('not given(w) ? x : b ? w : 2 * w'), []);
  assert.equal(codesOf('given(w) and w > 0 ? x : 1'), []);
  assert.equal(codesOf('not given(w) or w > 0 ? x : 1'), []);
  assert.equal(codesOf('b ? w : x'), ['absent-read']);
  assert.equal(codesOf('w > 0 and given(w) ? x : 1'), ['absent-read']);
});

test.run();
