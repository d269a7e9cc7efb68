/** Explanations in each format: golden text, escapes, and pages that are whole. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { paragraph } from '../../compiler/explain/document.ts';
import { explain, type Format, formats } from '../../compiler/explain/explain.ts';
import { htmlPage } from '../../compiler/explain/html.ts';
import { latexText } from '../../compiler/explain/latex.ts';
import { mathOf } from '../../compiler/explain/mathml.ts';
import { splitName } from '../../compiler/explain/names.ts';
import { type Notation, nameNotation, numberNotation } from '../../compiler/explain/notation.ts';
import { type Explained, explained } from '../../compiler/explain/part.ts';
import { pictureSvg } from '../../compiler/explain/svg.ts';
import { escapeText, texOf } from '../../compiler/explain/tex.ts';
import { breakFormula, textOf } from '../../compiler/explain/text.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';
import { variantsOf } from '../../compiler/spec/variants.ts';

const path = (name: string): URL => new URL(name, import.meta.url);
const { entries } = parseSpec(readFileSync(path('ops.yaml'), 'utf8'), 'ops.yaml').spec;
const written = (
  name: string,
  format: Format,
  directions: readonly Explained[] = explained,
): Promise<string> => {
  const entry = entries.find((candidate) => candidate.name === name)!;
  return explain(entry, variantsOf(entry), format, { directions });
};

const callee = 'norm(Tensor x[n], Tensor? w[n], Tensor? b[n], *, float eps = 1) -> Tensor y[n]';
const caller = `- name: ${callee}
  absent: {w: 1, b: 0}
  forward: {y: x * w + b + eps}
- name: caller(Tensor x[n], Tensor? w[n], Tensor? b[n]) -> Tensor y[n]
  forward: {y: "norm(x, w, b, {eps: 1e-3})"}
`;
const keyword: Notation = {
  is: 'call',
  fn: 'f',
  args: [nameNotation('a'), numberNotation('2.5e-7')],
  keywords: ['eps'],
};

const still = `- name: ramp(*, int n, float a) -> Tensor y[n]
  forward: {y: a * n}
- name: optional(Tensor? x[n], Tensor s[n]) -> Tensor y[n]
  absent: {x: 1}
  non_differentiable: [s]
  forward: {y: x * s}
- name: constant(Tensor x[n]) -> Tensor y[n]
  output_differentiability: [false]
  forward: {y: x}
`;

const nothing = suite('nothing to differentiate');
for (const entry of parseSpec(still, 'still.yaml').spec.entries) {
  for (const format of formats) {
    nothing(`${entry.name} as ${format}`, async () => {
      const variant = variantsOf(entry).at(-1)!;
      const shown = await explain(entry, [variant], format, { directions: explained });
      for (const what of ['gradient reaches a return', 'tangent reaches a return'])
        assert.ok(shown.includes(what), shown);
      assert.match(shown, /there is nothing to differentiate|No gradient depends on anything/);
    });
  }
}
nothing('says so, and of nobody that he hands in nothing', async () => {
  const [entry] = parseSpec(still, 'still.yaml').spec.entries;
  const shown = await explain(entry!, variantsOf(entry!), 'text', { directions: ['double_backward'] });
  assert.match(shown, 'No argument can have a gradient, so there is nothing to differentiate.');
  assert.not.match(shown, 'hands in');
});
nothing.run();

const text = suite('text');
text('arguments have keywords where others before them are left out', async () => {
  const { spec } = parseSpec(caller, 'spec.yaml');
  const entry = spec.entries[1]!;
  const shown = await explain(entry, variantsOf(entry), 'text', { directions: ['backward'] });
  for (const call of ['norm(x, w, b, {eps: 1e-3})', 'norm(x, w, {eps: 1e-3})', 'norm(x, {b: b, eps: 1e-3})'])
    assert.ok(shown.includes(call), `${call} is not in\n${shown}`);
  assert.is(textOf(keyword), 'f(a, {eps: 2.5e-7})');
});
text('a small op, whole', async () => {
  const shown = await written('weighted_mean', 'text', ['backward']);
  if (process.env.UPDATE_GOLDEN) writeFileSync(path('weighted_mean.txt'), shown);
  assert.is(shown, readFileSync(path('weighted_mean.txt'), 'utf8'));
});
text('a small op in every direction, whole', async () => {
  const shown = await written('square_sum', 'text');
  if (process.env.UPDATE_GOLDEN) writeFileSync(path('square_sum.txt'), shown);
  assert.is(shown, readFileSync(path('square_sum.txt'), 'utf8'));
});
text('the formula of a return that is constant', async () => {
  const returns = '(Tensor y[n], Tensor z[n], Tensor a[n])';
  const spec = `- name: f(Tensor x[n], *, bool b, float k = 1) -> ${returns}
  forward: {a: "b ? 2 * k + 1 : x", k2: k ^ 2, z: x * k2, y: 3}
`;
  const [entry] = parseSpec(spec, 'spec.yaml').spec.entries;
  const shown = await explain(entry!, variantsOf(entry!), 'text', { directions: explained });
  assert.match(shown, '\n  a[n] = 2 * k + 1\n  z[n] = x * k2\n  y[n] = 3\n');
  assert.match(shown, '\n  a[n] = x\n  z[n] = x * k2\n  y[n] = 3\n');
});
for (const { name } of entries) {
  text(`${name} fits a terminal`, async () => {
    const lines = (await written(name, 'text')).split('\n');
    assert.equal(
      lines.filter((line) => line.length > 100),
      [],
    );
  });
}
text('formulas are broken before operators', () => {
  assert.equal(breakFormula('y = a * (b + c) + f(d, e)', 18, '    '), ['y = a * (b + c)', '    + f(d, e)']);
  assert.equal(breakFormula('y = a', 18, '    '), ['y = a']);
});
text.run();

const latex = suite('LaTeX');
latex('keywords, and numbers with exponents', () => {
  assert.is(texOf(keyword), '\\operatorname{f}\\left(a, \\mathit{eps} = 2.5 \\cdot 10^{-7}\\right)');
  assert.is(texOf(numberNotation('1e+21')), '10^{21}');
  assert.is(texOf(numberNotation('1.5')), '1.5');
});
latex('special characters are escaped', () => {
  assert.is(
    escapeText('a_b & 50% #1 {x} ~^\\ $'),
    'a\\_b \\& 50\\% \\#1 \\{x\\} \\textasciitilde{}\\textasciicircum{}\\textbackslash{} \\$',
  );
  assert.is(texOf(nameNotation('running_mean')), '\\mathit{running\\_mean}');
  assert.is(texOf(nameNotation('grad_a_b')), '\\mathit{grad}_{\\mathit{a\\_b}}');
  const heading = { is: 'heading', level: 2, text: 'd_x & y', id: 'x' } as const;
  assert.match(latexText({ title: 'a_b', blocks: [heading] }), '\\subsection*{d\\_x \\& y}');
});
for (const { name } of entries) {
  latex(`${name} is balanced and plain`, async () => {
    const shown = await written(name, 'latex');
    const count = (pattern: RegExp): number => shown.match(pattern)?.length ?? 0;
    assert.is(count(/\\begin\{/g), count(/\\end\{/g));
    assert.is(count(/(?<!\\)\{/g), count(/(?<!\\)\}/g));
    assert.is(count(/\\left\b/g), count(/\\right\b/g));
    assert.not.match(shown, /[^\n -~]/, 'characters that a plain LaTeX may not know');
  });
}
latex.run();

/** Elements that are not closed in the order in which they are opened, of markup without void elements but these. */
function unbalanced(markup: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [, slash, name, rest] of markup.matchAll(/<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:"[^"]*"|[^>"])*)>/g)) {
    if (name === 'meta' || rest!.endsWith('/')) continue;
    if (!slash) open.push(name!);
    else if (open.pop() !== name) wrong.push(name!);
  }
  return [...wrong, ...open];
}

const html = suite('HTML');
for (const { name } of entries) {
  html(`${name} is well formed and needs nothing else`, async () => {
    const page = await written(name, 'html');
    assert.equal(unbalanced(page), []);
    assert.not.match(page, /<(?:script|link|img|iframe|object)\b|\bsrc=|@import|https?:|url\((?!#)/);
    const ids = [...page.matchAll(/\bid="([^"]*)"/g)].map(([, id]) => id!);
    assert.is(new Set(ids).size, ids.length);
    const targets = [...page.matchAll(/\bhref="#([^"]*)"/g)].map(([, id]) => id!);
    assert.ok(targets.length > 3);
    for (const target of targets) assert.ok(ids.includes(target), target);
    assert.match(page, /prefers-color-scheme: dark/);
    assert.match(page, /<svg class="graph"/);
    assert.match(page, /@compute @workgroup_size/);
  });
}
html('names are escaped and get their index', () => {
  assert.is(mathOf(nameNotation('sum1')), '<msub><mi class="word">sum</mi><mn>1</mn></msub>');
  assert.equal(splitName('grad_y'), { base: 'grad', index: 'y' });
  assert.equal(splitName('second_grad_y'), { base: 'second', index: 'grad_y' });
  assert.equal(splitName('v_x'), { base: 'v', index: 'x' });
  assert.equal(splitName('invstd_t'), { base: 'invstd', index: 't' });
  assert.equal(splitName('running_mean'), { base: 'running_mean' });
  assert.match(mathOf({ is: 'relation', operator: '<', a: nameNotation('a'), b: nameNotation('b') }), '&lt;');
});
html('labels keep clear of the round ends of their pills', async () => {
  const title = 'a picture';
  const label = 'a label of 23 characters';
  const nodes = [{ key: 'a', kind: 'reduction', label, detail: 'over n', stage: 0 }] as const;
  const svg = await pictureSvg({ title, nodes, edges: [], stages: ['stage 1'] });
  const [, width] = /class="node reduction">.*?<rect [^>]*width="(\d+)"/.exec(svg)!;
  assert.ok(Number(width) - 7.3 * label.length >= 36, width);
});
html('punctuation stays in the line of the formula before it', async () => {
  const page = await htmlPage({ title: '', blocks: [paragraph('f'), paragraph(nameNotation('x'), ', & y')] });
  assert.match(page, '<p><span class="close"><math><mi>x</mi></math>,</span> &amp; y</p>');
});
html('runs in a browser: the sources use nothing of Node', () => {
  const folder = new URL('../../compiler/explain/', import.meta.url);
  for (const file of readdirSync(folder))
    assert.not.match(readFileSync(new URL(file, folder), 'utf8'), /'node:|\bprocess\./, file);
});
html.run();
