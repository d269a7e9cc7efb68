/** Whatever emitted modules declare or call by themselves, no tensor, axis or attribute can have the name of. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../compiler/compile.ts';
import { identifier } from '../../compiler/kernel/names.ts';
import { unaryFunctions } from '../../compiler/spec/spec.ts';

const terms = [
  ...unaryFunctions.map((fn) => `${fn}(x)`),
  'min(x, v)',
  'max(x, v)',
  'pow(x, v)',
  'clamp(x, 0, 1)',
];
// of neighbouring elements and of one at a time, which functions such as erf are computed of
const entries = [
  ...terms.map(
    (term, k) => `- name: f_${k}(Tensor x[n], Tensor v[n]) -> Tensor y[n]\n  forward: {y: "${term}"}`,
  ),
  ...['x[n, c]', 'x[c, n]'].map(
    (x, k) => `
- name: r_${k}(Tensor ${x}) -> (Tensor a[c], Tensor b[c], Tensor d[c], Tensor f[c], Tensor y[${x.slice(2, -1)}])
  forward: {a: "sum(x, n)", b: "amax(x, n)", d: "amin(x, n)", f: "prod(x, n)", y: "(x > 0 and x < 1 ? x : 1e60) * var(x, n)"}`,
  ),
];

const test = suite('names');
const { files, diagnostics } = await compile(entries.join('\n'), { file: 'spec.yaml' });
assert.equal(diagnostics, []);

const matches = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, found]) => found!);
const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/\/\/(?!subgroups: ).*/g, '');

/** The names that some text uses, and that are free for specs to use. */
const free = (names: readonly string[]): string[] =>
  [...new Set(names)].filter((name) => identifier(name) === name);

test('WGSL', () => {
  const texts = [...files]
    .filter(([file]) => /\.(wgsl|txt)$/.test(file))
    .map(([, text]) => withoutComments(text));
  const declared = texts.flatMap((text) =>
    matches(text, /\b(?:fn|struct|alias|override|const|var<workgroup>) (\w+)/g),
  );
  for (const name of [
    'nan',
    'infinity',
    'maximum_some',
    'greatest_of',
    'merge_moments',
    'joined',
    'neighbours_of',
  ])
    assert.ok(declared.includes(name), name);
  assert.equal(free(declared), []);
  assert.equal(free(texts.flatMap((text) => matches(text, /(?<![@\w])(\w+)[(<]/g))), []);
});

test('TypeScript', () => {
  const texts = [...files]
    .filter(([file]) => /\/\w+\.ts$/.test(file) && !file.endsWith('index.ts'))
    .map(([, text]) => withoutComments(text));
  const declared = texts.flatMap((text) => matches(text, /^(?:function|type|const) (\w+)/gm));
  for (const name of ['erf', 'Floats']) assert.ok(declared.includes(name), name);
  assert.equal(free(declared.filter((name) => !/^(?:map|reduce)/.test(name))), []);
  assert.equal(free(texts.flatMap((text) => matches(text, /(?<![.\w])([A-Z]\w+)\b/g))), []);
});
test.run();
