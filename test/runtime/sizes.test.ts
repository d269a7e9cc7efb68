import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DimensionDescription } from '../../runtime/index.ts';
import { inferSizes, physicalDimensions, type Sizes, shapeOf, writeDimensions } from '../../runtime/sizes.ts';

/** `n (g k) *s` as dimensions. */
const parse = (text: string): DimensionDescription[] =>
  [...text.matchAll(/\(([^)]*)\)|(\*?)(\w+)/g)].map(([, split, fold, axis]) =>
    split ? { axes: split.split(' ') } : fold ? { axes: [axis!], fold: true } : { axes: [axis!] },
  );

/** Infers from tensors written `['x', 'n c *s', [2, 3]]` and returns the sizes by axis. */
type Written = readonly [name: string, dimensions: string, shape: readonly number[]];
function infer(tensors: readonly Written[], known: Record<string, number> = {}): Sizes {
  const sizes: Sizes = new Map(
    Object.entries(known).map(([axis, size]) => [axis, { size, from: 'the call' }]),
  );
  inferSizes(
    tensors.map(([name, text, shape]) => ({ name, shape, dimensions: parse(text) })),
    sizes,
  );
  return sizes;
}
const sizesOf = (...args: Parameters<typeof infer>) =>
  Object.fromEntries([...infer(...args)].map(([axis, { size }]) => [axis, size]));
const fails = (message: string, ...args: Parameters<typeof infer>) =>
  assert.throws(
    () => infer(...args),
    (error: Error) => error.message === message || assert.is(error.message, message),
  );

test('one axis a dimension', () => assert.equal(sizesOf([['x', 'n c', [2, 3]]]), { n: 2, c: 3 }));
test('a scalar has no dimensions', () => assert.equal(sizesOf([['t', '', []]]), {}));
test('a fold of two dimensions', () =>
  assert.equal(sizesOf([['x', 'n c *s', [2, 3, 4, 5]]]), { n: 2, c: 3, s: 20 }));
test('a fold of none has size 1', () =>
  assert.equal(sizesOf([['x', 'n c *s', [2, 3]]]), { n: 2, c: 3, s: 1 }));
test('a fold in front', () => assert.equal(sizesOf([['x', '*b c', [2, 3, 4]]]), { b: 6, c: 4 }));
test('an empty dimension', () => assert.equal(sizesOf([['x', 'n *s', [0, 3, 2]]]), { n: 0, s: 6 }));
test('two folds, one known from another tensor', () =>
  assert.equal(
    sizesOf([
      ['x', '*b *s', [2, 3, 4]],
      ['y', '*b', [2]],
    ]),
    { b: 2, s: 12 },
  ));
test('a split with the size given', () =>
  assert.equal(sizesOf([['x', 'n (g k)', [2, 6]]], { g: 2 }), { n: 2, g: 2, k: 3 }));
test('a split with the size from a later tensor', () =>
  assert.equal(
    sizesOf([
      ['x', '(g k)', [6]],
      ['w', 'k', [3]],
    ]),
    { k: 3, g: 2 },
  ));
test('an empty split', () => assert.equal(sizesOf([['x', '(g k)', [0]]], { g: 4 }), { g: 4, k: 0 }));

test('tensors that disagree', () =>
  fails('w has shape [4], which does not fit w[c], c = 3 from x', [
    ['x', 'n c', [2, 3]],
    ['w', 'c', [4]],
  ]));
test('folds that disagree, though equal in size', () =>
  fails('z has shape [3,2,1], which does not fit z[*s, n], s = [2,3] from x, n = 1 from x', [
    ['x', 'n *s', [1, 2, 3]],
    ['z', '*s n', [3, 2, 1]],
  ]));
test('too few dimensions', () =>
  fails('x has shape [2], which does not fit x[n, c, *s]', [['x', 'n c *s', [2]]]));
test('too many dimensions', () => fails('w has shape [3,1], which does not fit w[c]', [['w', 'c', [3, 1]]]));
test('a split that does not divide', () =>
  fails('x has shape [10], which does not fit x[(g k)], g = 4 from the call', [['x', '(g k)', [10]]], {
    g: 4,
  }));
test('a split with another product', () =>
  fails(
    'x has shape [10], which does not fit x[(g k)], g = 4 from the call, k = 3 from the call',
    [['x', '(g k)', [10]]],
    {
      g: 4,
      k: 3,
    },
  ));
test('a split that nothing tells apart', () =>
  fails('cannot tell the sizes of g and k from x[(g k)]', [['x', '(g k)', [10]]]));
test('two folds that nothing tells apart', () =>
  fails('cannot tell the sizes of b and s from x[*b, *s]', [['x', '*b *s', [10]]]));
test('a size that no tensor gives', () =>
  assert.throws(() => shapeOf('y', parse('q'), new Map()), /cannot tell the size of q in y/));

const physical = (dimensions: string, order: string) =>
  writeDimensions(physicalDimensions(parse(dimensions), order.split(' ')));
test('layout: a fold stays whole', () => assert.is(physical('n c *s', 'n s c'), '[n, *s, c]'));
test('layout: axes of other tensors', () => assert.is(physical('c', 'n s c'), '[c]'));
test('layout: a split whose parts stay together', () =>
  assert.is(physical('n (g k) *s', 'n s g k'), '[n, *s, (g k)]'));
test('layout: a split that is separated', () =>
  assert.is(physical('n (g k) *s', 'n g s k'), '[n, g, *s, k]'));
test('layout: a split that is reordered', () =>
  assert.is(physical('n (g k) *s', 'n k g s'), '[n, k, g, *s]'));

test('shapes unfold again', () => {
  const sizes = infer([['x', 'n (g k) *s', [2, 6, 4, 5]]], { g: 3 });
  assert.equal(shapeOf('y', parse('n *s g k'), sizes), [2, 4, 5, 3, 2]);
  assert.equal(shapeOf('y', parse('(g k)'), sizes), [6]);
});

test.run();
