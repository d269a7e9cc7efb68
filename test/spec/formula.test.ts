/** Formulas: their structure and the positions of their parts. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseSpec } from '../../compiler/spec/parse.ts';
import type { Formula } from '../../compiler/spec/spec.ts';
import { entriesOf, entryWith } from './batch-norm.ts';

const test = suite('formula');

/** A formula with all its parentheses. */
function show(f: Formula): string {
  switch (f.kind) {
    case 'number':
      return f.text;
    case 'name':
    case 'constant':
      return f.name;
    case 'sum':
      return `(${f.terms.map(({ negative, of }) => (negative ? '-' : '+') + show(of)).join(' ')})`;
    case 'multiply':
    case 'divide':
    case 'power':
    case 'and':
    case 'or':
      return `[${show(f.a)} ${f.kind} ${show(f.b)}]`;
    case 'compare':
      return `[${show(f.a)} ${f.operator} ${show(f.b)}]`;
    case 'negate':
    case 'not':
    case 'stop_gradient':
      return `${f.kind}(${show(f.of)})`;
    case 'select':
      return `{${show(f.test)} ? ${show(f.then)} : ${show(f.else)}}`;
    case 'unary':
      return `${f.fn}(${show(f.of)})`;
    case 'binary':
      return `${f.fn}(${show(f.a)}, ${show(f.b)})`;
    case 'clamp':
      return `clamp(${show(f.of)}, ${show(f.low)}, ${show(f.high)})`;
    case 'reduce':
      return `${f.fn}[${f.over.join(' ')}](${show(f.of)})`;
    case 'count':
      return `count[${f.over.join(' ')}]`;
    case 'given':
      return `given ${f.name}`;
    case 'true':
    case 'false':
      return f.kind;
    case 'op':
      return `${f.entry}(${[...f.arguments].map(([name, value]) => `${name}: ${show(value)}`).join(', ')})`;
  }
}

const shown = (formula: string): string => show(entryWith({ y: formula }).forward[0]!.formula);

const structures: readonly (readonly [string, string])[] = [
  ['x - i + 1', '(+x -i +1)'],
  ['x - (i + 1)', '(+x -(+i +1))'],
  ['(x - i) + 1', '(+(+x -i) +1)'],
  ['-x + -i', '(-x -i)'],
  ['- -x', 'negate(negate(x))'],
  ['+x', 'x'],
  ['((x))', 'x'],
  ['-x^2', 'negate([x power 2])'],
  ['2^-x', '[2 power negate(x)]'],
  ['x^2^3', '[x power [2 power 3]]'],
  ['x * i / k', '[[x multiply i] divide k]'],
  ['-x * i', '[negate(x) multiply i]'],
  ['1/2*x', '[[1 divide 2] multiply x]'],
  ['1e-5 * .5 + 2. - 1E3', '(+[1e-5 multiply .5] +2. -1E3)'],
  ['training ? x : i > 0 ? 1 : 2', '{training ? x : {[i > 0] ? 1 : 2}}'],
  ['not training or given(w) and x >= i ? 1 : 0', '{[not(training) or [given w and [x >= i]]] ? 1 : 0}'],
  ['not (x == i) ? pi : e', '{not([x == i]) ? pi : e}'],
  ['true ? x : false and training ? 1 : 2', '{true ? x : {[false and training] ? 1 : 2}}'],
  ['mean((x - i)^2, n, s) + var(x, n, s) + var', '(+mean[n s]([(+x -i) power 2]) +var[n s](x) +var)'],
  ['x * count(n, s) / (count(n, s) - 1)', '[[x multiply count[n s]] divide (+count[n s] -1)]'],
  ['max(x, min(i, 0)) + pow(x, eps) + clamp(x, 0, 1)', '(+max(x, min(i, 0)) +pow(x, eps) +clamp(x, 0, 1))'],
  ['stop_gradient(relu(x))', 'stop_gradient(relu(x))'],
  ['sqrt (x) * w', '[sqrt(x) multiply w]'],
];
for (const [formula, structure] of structures) test(formula, () => assert.is(shown(formula), structure));

test('a sum of hundreds of terms is one chain', () => {
  const { formula } = entryWith({ y: Array(600).fill('x').join(' - ') }).forward[0]!;
  assert.ok(formula.kind === 'sum' && formula.terms.length === 600);
});

test('every part knows where it is', () => {
  const text = `- name: f(Tensor x[n], Tensor t[n]) -> Tensor y[n]
  forward:
    y: >-
      -(x + t) *
        sqrt( (x) ) - max(x, (t))
`;
  const { formula } = entriesOf(text)[0]!.forward[0]!;
  const spans: string[] = [];
  const visit = (f: Formula): void => {
    spans.push(text.slice(f.span.start, f.span.end).replace(/\s+/g, ' '));
    if (f.kind === 'sum') for (const { of } of f.terms) visit(of);
    if (f.kind === 'unary' || f.kind === 'negate') visit(f.of);
    if (f.kind === 'multiply' || f.kind === 'binary') [f.a, f.b].map(visit);
  };
  visit(formula);
  assert.equal(spans, [
    '-(x + t) * sqrt( (x) ) - max(x, (t))',
    '-(x + t) * sqrt( (x) )',
    '-(x + t)',
    'x + t',
    'x',
    't',
    'sqrt( (x) )',
    'x',
    'max(x, (t))',
    'x',
    't',
  ]);
});

test('formulas that YAML takes for numbers and truths', () => {
  const [entry] = entriesOf(`- name: f(Tensor x[n], bool y1) -> (Tensor y[n], Tensor n[])
  require: [{that: true, else: never}, {that: y1, else: 'no'}]
  forward: {y: x, n: 1.50}
`);
  assert.is(show(entry!.forward[1]!.formula), '1.50');
  assert.is(entry!.require[0]!.that.kind, 'true');
});

const norm = `- name: >-
    norm(Tensor x[b, f, *d], Tensor? w[f], *, bool flag, float eps = 1) -> (Tensor out[b, f, *d], Tensor m[f])
  absent: {w: 1}
  forward:
    m: mean(x, b, d)
    out: "flag ? (x - m) * w + eps : x"
`;

test('a call of an earlier entry', () => {
  const [, entry] = entriesOf(`${norm}- name: g(Tensor x[n, c, *s], Tensor? v[c]) -> Tensor y[n, c, *s]
  forward:
    y: "relu(norm(2 * x, v, {flag: given(v), eps: count(n)}))"
`);
  const { formula } = entry!.forward[0]!;
  assert.is(show(formula), 'relu(norm(x: [2 multiply x], w: v, flag: given v, eps: count[n]))');
  assert.ok(formula.kind === 'unary' && formula.of.kind === 'op');
  assert.equal(
    [...formula.of.axes],
    [
      ['b', 'n'],
      ['f', 'c'],
      ['d', 's'],
    ],
  );
  assert.is(formula.of.folds, undefined);
  assert.equal([...entry!.entries.keys()], ['norm']);
});

test('a fold stands for none or several axes', () => {
  const [, g, h] = entriesOf(`${norm}- name: g(Tensor x[n, c, h, w]) -> Tensor y[n, c, h, w]
  forward: {y: "norm(x, {flag: true})"}
- name: h(Tensor x[n, c]) -> Tensor y[n, c]
  forward: {y: "norm(x, {flag: true})"}
`);
  const folds = [g, h].map((entry) => {
    const { formula } = entry!.forward[0]!;
    return formula.kind === 'op' ? [...(formula.folds ?? [])] : undefined;
  });
  assert.equal(folds, [[['d', ['h', 'w']]], [['d', []]]]);
});

test('an entry that calls a broken one is left out, without a word', () => {
  const { spec, diagnostics } = parseSpec(
    `- name: f(Tensor x[n]) -> Tensor y[n]
  forward: {y: xx}
- name: g(Tensor x[n]) -> Tensor y[n]
  forward: {y: f(x)}
- name: h(Tensor x[n]) -> Tensor y[n]
  forward: {y: x}
`,
    'spec.yaml',
  );
  assert.is(diagnostics.length, 1);
  assert.equal(
    spec.entries.map(({ name }) => name),
    ['h'],
  );
});

test('carriage returns, a byte order mark, anchors and comments', () => {
  const text = `\uFEFF# comment
- name: f(Tensor x[n]) -> (Tensor y[n], Tensor z[n]) # one
  forward:
    y: &a x * 2   # two
    z: *a
`;
  for (const spec of [text, text.replaceAll('\n', '\r\n'), text.replace('# comment\n', '')]) {
    const [entry] = entriesOf(spec);
    assert.equal(
      entry!.forward.map((f) => f.text),
      ['x * 2', 'x * 2'],
    );
    assert.is(spec.slice(entry!.span.start, entry!.span.end), 'f');
  }
});

test.run();
