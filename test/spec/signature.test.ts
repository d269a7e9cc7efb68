/** Signatures: what the parts of an entry are. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { entryOf, text } from './batch-norm.ts';

const test = suite('signature');
const signed = (signature: string, forward = 'x') =>
  entryOf(`- name: ${signature}\n  forward:\n    y: ${forward}\n`);

test("the contract's example", () => {
  const entry = entryOf(text);
  assert.is(entry.name, 'batch_norm');
  assert.equal(entry.axes, ['n', 'c', 's']);
  assert.equal(entry.layouts, [['n', 'c', 's']]);
  assert.equal(
    entry.arguments.map((a) => `${a.kind} ${a.name}${a.keywordOnly ? ' keyword' : ''}`),
    [
      'tensor x',
      'tensor weight',
      'tensor bias',
      'tensor running_mean',
      'tensor running_var',
      'bool training keyword',
      'float momentum keyword',
      'float eps keyword',
    ],
  );
  const tensors = entry.arguments.flatMap((a) => (a.kind === 'tensor' ? [a] : []));
  assert.equal(
    tensors.map((a) => a.optional),
    [false, true, true, true, true],
  );
  assert.equal(
    tensors.map((a) => a.state),
    [false, false, false, true, true],
  );
  assert.equal(
    tensors.map((a) => a.differentiable),
    [true, true, true, false, false],
  );
  assert.equal(tensors[0]?.dimensions, [
    { kind: 'axis', axis: 'n' },
    { kind: 'axis', axis: 'c' },
    { kind: 'fold', axis: 's' },
  ]);
  assert.equal(entry.arguments.map((a) => ('default' in a ? a.default : undefined)).slice(5), [
    undefined,
    0.1,
    1e-5,
  ]);
  assert.equal(
    entry.returns.map((r) => [r.name, r.axes.join(), r.differentiable]),
    [
      ['y', 'n,c,s', true],
      ['mean', 'c', false],
      ['invstd', 'c', false],
    ],
  );
  assert.equal(
    [...entry.absent],
    [
      ['weight', 1],
      ['bias', 0],
    ],
  );
  assert.equal(entry.together, [['running_mean', 'running_var']]);
  assert.equal(entry.require.map((r) => r.else)[1], 'expected more than 1 value per channel when training');
  assert.equal(
    entry.forward.map((f) => f.name),
    ['mean', 'var', 'invstd', 'xhat', 'y'],
  );
  assert.equal(
    entry.gradients.map((f) => f.name),
    ['x', 'weight', 'bias'],
  );
  assert.is(entry.forward[2]?.text, '1 / sqrt(var + eps)');
  assert.match(entry.signature, /^batch_norm\(Tensor x\[n, c, \*s\], .* -> \(Tensor y/);
});

test('a folded signature has exact positions', () => {
  const entry = entryOf(text);
  const at = ({ start, end }: { start: number; end: number }) => text.slice(start, end);
  assert.is(at(entry.span), 'batch_norm');
  for (const { name, span } of [...entry.arguments, ...entry.returns]) assert.is(at(span), name);
  assert.is(text.indexOf('invstd[c]'), entry.returns[2]?.span.start);
});

test('splits, with and without a comma', () => {
  for (const split of ['(g k)', '(g, k)']) {
    const entry = signed(`f(Tensor x[n, ${split}, *s], int g) -> Tensor y[n, (g k), *s]`);
    assert.equal(entry.axes, ['n', 'g', 'k', 's']);
    assert.equal(entry.returns[0]?.dimensions[1], { kind: 'split', axes: ['g', 'k'] });
  }
});

test('a split is inferred from a tensor that has one of its parts', () => {
  assert.is(signed('f(Tensor x[n, (g k)], Tensor w[g]) -> Tensor y[n, g, k]', 'x * w').axes.length, 3);
});

test('two folds, one of which another tensor has alone', () => {
  assert.equal(signed('f(Tensor x[*n, *d], Tensor w[*d]) -> Tensor y[*n, *d]', 'x * w').axes, ['n', 'd']);
});

test('scalars, both orders of state and optional, defaults, and a trailing fold', () => {
  const entry = signed(
    '"f(Tensor x[*s], Tensor t[], Tensor?(a!) a[] = None, Tensor(b!)? b[], bool q = true, bool r = False, int i = -3, float v = .5e3) -> Tensor y[*s]"',
  );
  assert.equal(
    entry.arguments.map((a) => ('default' in a ? a.default : undefined)),
    [undefined, undefined, undefined, undefined, true, false, -3, 500],
  );
  assert.equal(
    entry.arguments.flatMap((a) => (a.kind === 'tensor' ? [a.optional && a.state] : [])),
    [false, false, true, true],
  );
});

test('words that are reserved elsewhere are names', () => {
  for (const name of [
    'var',
    'function',
    'fn',
    'loop',
    'vec4',
    'await',
    'class',
    'mean',
    'i',
    'tau',
    'Infinity',
    'null',
    'constructor',
    'toString',
    'n',
  ]) {
    const entry = signed(
      `f(Tensor ${name}[n, e]) -> Tensor y[n, e]`,
      `mean(${name}, n) + ${name} * count(e)`,
    );
    assert.is(entry.arguments[0]?.name, name);
  }
});

test.run();
