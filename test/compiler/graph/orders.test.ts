/** Differentiating again and again stays small, and finds the forms that are known. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compileEntry } from '../../../compiler/compile.ts';
import { input } from '../../../compiler/graph/build.ts';
import { vjp } from '../../../compiler/graph/differentiate.ts';
import { children, type Expr, isReduction, topological } from '../../../compiler/graph/expr.ts';
import { lowerEntry } from '../../../compiler/graph/formulas.ts';
import { finish } from '../../../compiler/graph/rebuild.ts';
import { differentiable } from '../../../compiler/schedule/program.ts';
import { parseSpec } from '../../../compiler/spec/parse.ts';
import type { Entry } from '../../../compiler/spec/spec.ts';
import { variantKey, variantsOf } from '../../../compiler/spec/variants.ts';

const text = readFileSync(new URL('../../../derivatives.yaml', import.meta.url), 'utf8');
const { entries } = parseSpec(text, 'derivatives.yaml').spec;
const entryOf = (name: string): Entry => entries.find((entry) => entry.name === name)!;

interface Order {
  /** Nodes that compute something. */
  readonly nodes: number;
  readonly reductions: number;
  readonly depth: number;
}

/** The outputs of each order up to a highest. */
function ordersOf(name: string, key: string, highest: number, entry = entryOf(name)): Order[] {
  const variant = variantsOf(entry).find((v) => variantKey(entry, v) === key)!;
  const forward = lowerEntry(entry, variant);
  const wrt: Expr[] = differentiable(forward).map(({ node }) => node);
  let outputs = forward.returns.filter((r) => r.differentiable).map(({ expr }) => expr);
  return Array.from({ length: highest }, (_, order) => {
    const cts = outputs.map((e, i) => input('cotangent', `order${order}_${i}`, e.axes));
    outputs = vjp(
      outputs.map((e, i) => [e, cts[i]!]),
      wrt,
    );
    wrt.push(...cts);
    const all = topological(finish(outputs));
    return {
      nodes: all.filter((node) => children(node).length > 0).length,
      reductions: all.filter(isReduction).length,
      depth: Math.max(...outputs.map((e) => e.depth)),
    };
  });
}

const test = suite('orders');

test('batch norm in training up to order 4', () => {
  const start = performance.now();
  const orders = ordersOf('batch_norm', 'weight bias training', 4);
  const seconds = (performance.now() - start) / 1000;
  assert.ok(seconds < 5, `it took ${seconds} s`);
  const report = JSON.stringify(orders);
  for (const [i, most] of [20, 50, 160, 700].entries()) assert.ok(orders[i]!.nodes <= most, report);
  assert.ok(
    orders.every(({ depth }) => depth <= 2),
    report,
  ); // statistics, then all else in one pass
  for (const [i, most] of [6, 10, 25, 55].entries()) assert.ok(orders[i]!.reductions <= most, report);
});

test('frozen statistics need no reduction for dx, at any order', () => {
  const orders = ordersOf('batch_norm', 'running_mean running_var', 3);
  assert.equal(
    orders.map(({ reductions }) => reductions),
    [0, 0, 0],
  );
});

test('root mean square up to order 3', () => {
  const orders = ordersOf('rms_norm', '', 3);
  const report = JSON.stringify(orders);
  for (const [i, most] of [2, 4, 9].entries()) assert.ok(orders[i]!.reductions <= most, report);
});

test('norms of norms stay small, since sums are taken apart only where that pays', () => {
  const norm = (x: string, axis: string) => `(${x} - mean(${x}, ${axis})) / sqrt(var(${x}, ${axis}) + 1)`;
  const nested = `
- name: nested(Tensor x[c, n, s], Tensor w[c]) -> Tensor y[c, n, s]
  forward:
    a: ${norm('x', 's')}
    b: a - mean(a, n)
    y: mean(x, c, n, s) / (1 + (max(w, b) - (b - w)) ^ 2) + x * w
`;
  const [entry] = parseSpec(nested, 'nested.yaml').spec.entries;
  const orders = ordersOf('nested', '', 2, entry);
  const report = JSON.stringify(orders);
  for (const [i, most] of [30, 90].entries()) assert.ok(orders[i]!.reductions <= most, report);
});

test('products of products stay small', () => {
  const nested = `
- name: nested(Tensor x[n, c], Tensor y[n, c], Tensor z[n]) -> (Tensor a[], Tensor b[c])
  forward:
    a: prod(prod(x * y, c) + z, n)
    b: prod(x * y * z, n) * prod(x + y - mean(x, n), n)
`;
  const [entry] = parseSpec(nested, 'nested.yaml').spec.entries;
  const { variants } = compileEntry({ ...entry!, generate: ['forward', 'backward', 'double_backward'] });
  const second = variants[0]!.layouts[0]!.directions.find((d) => d.direction === 'double_backward')!;
  const all = topological(second.program.outputs.map(({ expr }) => expr));
  assert.ok(all.filter(isReduction).length <= 40, `${all.filter(isReduction).length} reductions`);
  assert.ok(all.length <= 400, `${all.length} nodes`);
});

test('powers of extrema stay small, since products of many terms are not multiplied out', () => {
  const powers = `
- name: powers(Tensor x[n], Tensor w[], Tensor b[]) -> Tensor y[n]
  forward:
    m: "-(w * var(x, n)) ^ (-2)"
    a: "max(m, min(x / b, x * b))"
    y: "((a + w) ^ (-6) + 1) ^ 2"
`;
  const [entry] = parseSpec(powers, 'powers.yaml').spec.entries;
  const orders = ordersOf('powers', '', 3, entry);
  const report = JSON.stringify(orders);
  for (const [i, most] of [80, 300, 1000].entries()) assert.ok(orders[i]!.nodes <= most, report);
});

test.run();
