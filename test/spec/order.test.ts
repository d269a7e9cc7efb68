import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { commonOrder } from '../../compiler/spec/order.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';

const orderOf = (...tensors: readonly string[]): string =>
  commonOrder(tensors.map((tensor) => [...tensor])).join('');

test('every tensor keeps its own order', () => {
  assert.is(orderOf('nc', 'mc', 'c'), 'nmc');
  assert.is(orderOf('id', 'jd', 'ij'), 'ijd');
  assert.is(orderOf('ik', 'kj', 'ij'), 'ikj');
  assert.is(orderOf('c', 'ncs', 'n'), 'ncs');
});

test('of several orders it is the one of the signature', () => {
  assert.is(orderOf('ab', 'cd'), 'abcd');
  assert.is(orderOf('c', '', 'a', 'b'), 'cab');
});

test('where tensors contradict each other, the earlier ones count', () => {
  assert.is(orderOf('ij', 'ji'), 'ij');
  assert.is(orderOf('abc', 'ca', 'db'), 'adbc');
});

test('an entry without layouts has that order', () => {
  const text =
    '- name: distance(Tensor x[i, d], Tensor y[j, d]) -> Tensor z[i, j]\n  forward: {z: "sum((x - y) ^ 2, d)"}';
  assert.equal(parseSpec(text, 'spec.yaml').spec.entries[0]!.layouts, [['i', 'j', 'd']]);
});

test.run();
