/** The scalar table against mathjs's own derivatives and differences, and both modes against each other. */
import { derivative } from 'mathjs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { call, input, mul, number, power, reduce, sum } from '../../../compiler/graph/build.ts';
import { jvp, jvpRules, partials, vjp, vjpRules } from '../../../compiler/graph/differentiate.ts';
import { type Call, type Expr, Fraction } from '../../../compiler/graph/expr.ts';
import { formula } from '../../../compiler/graph/print.ts';
import { settled } from '../../../compiler/graph/products.ts';
import { farthest } from '../near.ts';
import { normals, randomOf } from '../random.ts';
import { evaluate, inputs, piecewise, smooth, type Values, valuesFor } from './random.ts';

const test = suite('derivatives');

const u = input('input', 'u', []);
const v = input('input', 'v', []);
const low = number('-0.5');
const high = number('0.75');
const at = (e: Expr, x: number, y = 0): number =>
  evaluate(
    [e],
    new Map([
      ['input u', [x]],
      ['input v', [y]],
    ]),
  )[0]![0]!;

/** The formulas of functions that mathjs can differentiate. */
const formulas: { readonly [K in Call]?: string } = {
  exp: 'exp(u)',
  log: 'log(u)',
  log1p: 'log(1 + u)',
  expm1: 'exp(u) - 1',
  tanh: 'tanh(u)',
  sigmoid: '1 / (1 + exp(-u))',
  softplus: 'log(1 + exp(u))',
  sin: 'sin(u)',
  cos: 'cos(u)',
  abs: 'abs(u)',
};

const points = [0.1, 0.4, 0.7, 1.3, 2.9, 6];
for (const [fn, text] of Object.entries(formulas) as [Call, string][]) {
  test(`${fn}, first and second derivative`, () => {
    const first = derivative(text, 'u');
    const second = fn === 'abs' ? undefined : derivative(first, 'u');
    const [d1] = vjp([[call(fn, u), number(1)]], [u]);
    const [d2] = vjp([[d1!, number(1)]], [u]);
    for (const x of points.flatMap((p) => (fn === 'log' ? [p] : fn === 'log1p' ? [p, -p / 7] : [p, -p]))) {
      const scope = { u: x, e: Math.E };
      assert.not(farthest([at(d1!, x)], [Number(first.evaluate(scope))], 1e-9), `${fn}'(${x})`);
      if (second)
        assert.not(farthest([at(d2!, x)], [Number(second.evaluate(scope))], 1e-8, 1e-3), `${fn}''(${x})`);
    }
  });
}

test('every function of the table, by differences', () => {
  const h = 1e-5;
  for (const fn of Object.keys(partials) as Call[]) {
    const binary = ['min', 'max', 'pow'].includes(fn);
    const e = fn === 'clamp' ? call(fn, u, low, high) : binary ? call(fn, u, v) : call(fn, u);
    const [du, dv] = vjp([[e, number(1)]], [u, v]);
    for (const [x, y] of [
      [0.3, 1.1],
      [1.7, 0.6],
      [0.9, -1.2],
      [2.2, 2.6],
    ] as const) {
      const slope = (f: (d: number) => number): number =>
        (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
      assert.not(
        farthest([at(du!, x, y)], [slope((d) => at(e, x + d, y))], 1e-8, 1e-2),
        `∂${fn}/∂u at ${x}, ${y}`,
      );
      assert.not(
        farthest([at(dv!, x, y)], [slope((d) => at(e, x, y + d))], 1e-8, 1e-2),
        `∂${fn}/∂v at ${x}, ${y}`,
      );
    }
  }
});

test('powers, whole and broken, of positive and of negative numbers', () => {
  for (const p of [2, 3, -1, -2, 5]) {
    const [d] = vjp([[power(u, p), number(1)]], [u]);
    for (const x of [-1.5, 0.5, 2])
      assert.not(farthest([at(d!, x)], [p * x ** (p - 1)], 1e-12), `u^${p} at ${x}`);
  }
  for (const p of [new Fraction(1, 2), new Fraction(-3, 2), new Fraction(1, 3)]) {
    const [d] = vjp([[power(u, p), number(1)]], [u]);
    const q = p.valueOf();
    assert.not(farthest([at(d!, 2)], [q * 2 ** (q - 1)], 1e-12), `u^${q}`);
  }
  const [zero] = vjp([[power(u, 2), number(1)]], [u]);
  assert.is(at(zero!, 0), 0);
});

/** Σ over different i, j, … of aᵢ·bⱼ·… times the factors left. */
function movedProduct(factors: readonly number[], along: readonly (readonly number[])[]): number {
  const [first, ...rest] = along;
  if (!first) return factors.reduce((p, x) => p * x, 1);
  return first.reduce((total, a, i) => {
    const left = (values: readonly number[]): number[] => values.filter((_, k) => k !== i);
    return total + a * movedProduct(left(factors), rest.map(left));
  }, 0);
}

test('products to the third order, however many factors are zero', () => {
  const x = input('input', 'x', ['a', 'b']);
  const along = ['p', 'q', 'r'].map((name) => input('tangent', name, ['a', 'b']));
  const orders = [reduce('prod', x, ['a', 'b'])];
  for (const direction of along) orders.push(jvp([orders.at(-1)!], new Map([[x, direction]]))[0]!);
  const second = vjp([[vjp([[orders[0]!, number(1)]], [x])[0]!, along[0]!]], [x])[0]!;
  const third = sum(mul(vjp([[second, along[1]!]], [x])[0]!, along[2]!), ['a', 'b']);
  for (let zeros = 0; zeros <= 4; zeros++) {
    const values = valuesFor(`${zeros} zeros`, [x, ...along]);
    const factors = values.get('input x')!.map((v, i) => (i < zeros ? 0 : v));
    const point = new Map([...values, ['input x', factors]]);
    const directions = ['p', 'q', 'r'].map((name) => point.get(`tangent ${name}`)!);
    const expected = orders.map((_, k) => movedProduct(factors, directions.slice(0, k)));
    for (const form of [orders, orders.map(settled)]) {
      const found = evaluate(form, point).map(([first]) => first!);
      assert.not(farthest(found, expected, 1e-12), `forward mode, ${zeros} zeros`);
    }
    const found = evaluate([third, settled(third)], point).map(([first]) => first!);
    assert.not(farthest(found, [expected[3]!, expected[3]!], 1e-12), `reverse mode, ${zeros} zeros`);
  }
});

test('both tables have the same operations', () => {
  assert.equal(Object.keys(vjpRules).sort(), Object.keys(jvpRules).sort());
});

/** ⟨ct, jvp(v)⟩ = ⟨vjp(ct), v⟩ over the whole space; what lacks an axis is repeated along it. */
function isTransposed(e: Expr, values: Values): void {
  const ct = input('cotangent', 'e', e.axes);
  const tangents = new Map(inputs.map((i) => [i, input('tangent', i.op === 'input' ? i.of : '', i.axes)]));
  const [moved] = jvp([e], tangents);
  const gradients = vjp([[e, ct]], inputs);
  const forward = sum(mul(ct, moved!), e.axes);
  const backward = inputs.map((i, k) => sum(mul(gradients[k]!, tangents.get(i)!), i.axes));
  const all = new Map([...values, ...valuesFor('more', [ct, ...tangents.values()])]);
  const [pushed, ...pulled] = evaluate([forward, ...backward], all).map(([first]) => first!);
  const total = pulled.reduce((a, b) => a + b, 0);
  const scale = pulled.reduce((a, b) => Math.max(a, Math.abs(b)), 1);
  assert.not(farthest([pushed!], [total], 1e-9, scale), formula(e));
}

test('forward and reverse mode are each other’s transpose on random graphs', () => {
  const random = randomOf('transpose');
  const values = valuesFor('transpose');
  for (let k = 0; k < 250; k++) isTransposed(k % 2 === 0 ? smooth(random, 3) : piecewise(random, 3), values);
});

test('gradients of random graphs, by differences', () => {
  const random = randomOf('differences');
  const values = valuesFor('differences');
  const h = 1e-5;
  for (let k = 0; k < 120; k++) {
    const e = smooth(random, 3);
    const ct = input('cotangent', 'e', e.axes);
    const loss = sum(mul(ct, e), e.axes);
    const with_ = new Map([...values, ...valuesFor('ct', [ct])]);
    const gradients = vjp([[e, ct]], inputs);
    for (const [i, node] of inputs.entries()) {
      if (node.op !== 'input') continue;
      const base = values.get(`input ${node.of}`)!;
      const direction = normals(randomOf(node.of), base.length);
      const f = (step: number): number => {
        const moved = base.map((b, j) => b + step * direction[j]!);
        return evaluate([loss], new Map([...with_, [`input ${node.of}`, moved]]))[0]![0]!;
      };
      const slope = (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
      const d = input('tangent', 'd', node.axes);
      const product = sum(mul(gradients[i]!, d), node.axes);
      const [found] = evaluate([product], new Map([...with_, ['tangent d', direction]]));
      assert.not(farthest([found![0]!], [slope], 1e-6, 1 + Math.abs(f(0))), `${node.of} of ${formula(e)}`);
    }
  }
});

test.run();
