/** The types of calls that generated code exports. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../compiler/compile.ts';

const test = suite('types');

/** What a call's attributes must be, as TypeScript. */
async function attributesOf(signature: string, forward: string): Promise<string | undefined> {
  const text = `- name: op(${signature}\n  forward: {${forward}}\n`;
  const { files, diagnostics } = await compile(text, { file: 'spec.yaml', targets: ['typescript'] });
  assert.equal(diagnostics, []);
  return /readonly attributes: (.*);/.exec(files.get('op/index.ts')!)?.[1];
}

for (const [title, signature, forward, attributes] of [
  [
    'a default',
    'Tensor x[n], *, float a = 2, bool b = true) -> Tensor y[n]',
    'y: x * a',
    'a?: number | undefined; b?: boolean | undefined',
  ],
  ['no default', 'Tensor x[n], *, float a, bool b) -> Tensor y[n]', 'y: x * a', 'a: number; b: boolean'],
  ['a size that a tensor has', 'Tensor x[n], *, int n) -> Tensor y[n]', 'y: x', 'n?: number | undefined'],
  [
    'a size that an optional one has',
    'Tensor? x[n], *, int n) -> Tensor y[n]',
    'y: "given(x) ? x : 0"',
    'n?: number | undefined',
  ],
  ['a size that none has', 'int n) -> Tensor y[n]', 'y: 1', 'n: number'],
  [
    'a split of which nothing else is known',
    'Tensor x[(g k)], *, int g) -> Tensor y[g]',
    'y: "sum(x, k)"',
    'g: number',
  ],
  [
    'a split of which the rest is known',
    'Tensor x[(g k)], Tensor w[k], *, int g) -> Tensor y[g]',
    'y: "sum(x * w, k)"',
    'g?: number | undefined',
  ],
] as const) {
  test(title, async () => assert.is(await attributesOf(signature, forward), `{ ${attributes} }`));
}

test.run();
