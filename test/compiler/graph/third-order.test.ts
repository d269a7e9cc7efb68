/**
 * The third order of every entry that is shipped, in every variant: reverse mode over the double backward, and forward
 * mode over it, against differences of the double backward itself, at 64 digits.
 */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { input } from '../../../compiler/graph/build.ts';
import { jvp, vjp } from '../../../compiler/graph/differentiate.ts';
import type { Expr, Node } from '../../../compiler/graph/expr.ts';
import { lowerEntry } from '../../../compiler/graph/formulas.ts';
import { arrange, elements, interpret } from '../../../compiler/graph/interpret.ts';
import { type Digits, decimal } from '../../../compiler/prove/decimal.ts';
import { differentiable } from '../../../compiler/schedule/program.ts';
import { parseSpec } from '../../../compiler/spec/parse.ts';
import { variantKey, variantsOf } from '../../../compiler/spec/variants.ts';
import { normals, randomOf } from '../random.ts';

const text = readFileSync(new URL('../../../derivatives.yaml', import.meta.url), 'utf8');
const { entries } = parseSpec(text, 'derivatives.yaml').spec;

const step = decimal.number(1e-20);

/** Cotangents of some expressions, over the axes that these have. */
const cotangentsFor = (order: number, exprs: readonly Expr[]): Expr[] =>
  exprs.map((e, i) => input('cotangent', `order${order}_${i}`, e.axes));

const test = suite('third order');

const extents = [
  { n: 3, c: 2, s: 2, g: 2, k: 1, d: 3 },
  { n: 2, c: 1, s: 1, g: 1, k: 2, d: 1 },
];

for (const entry of entries) {
  for (const [variant, sizes] of variantsOf(entry).flatMap((v) =>
    extents.map((some) => [v, some] as const),
  )) {
    const key = `${entry.name} (${variantKey(entry, variant) || 'no options'}), n = ${sizes.n}`;
    test(key, () => {
      const forward = lowerEntry(entry, variant);
      const wrt = differentiable(forward).map(({ node }) => node);
      const returns = forward.returns.filter((output) => output.differentiable).map(({ expr }) => expr);
      const cts = cotangentsFor(0, returns);
      const first = vjp(
        returns.map((e, i) => [e, cts[i]!] as const),
        wrt,
      );
      const cts2 = cotangentsFor(1, first);
      const second = vjp(
        first.map((e, i) => [e, cts2[i]!] as const),
        [...wrt, ...cts],
      );
      const cts3 = cotangentsFor(2, second);
      const third = vjp(
        second.map((e, i) => [e, cts3[i]!] as const),
        wrt,
      );
      const tangents = new Map(wrt.map((node, i) => [node, input('tangent', `t${i}`, node.axes)]));
      const forwardMode = jvp(second, tangents);

      const random = randomOf(key);
      const axes = new Map(Object.entries(sizes));
      const known = new Map<string, Digits[]>();
      const dataOf = (node: Node<'input'>): Digits[] => {
        const id = `${node.role} ${node.of}`;
        const made = normals(random, elements(node.axes, axes)).map((v) =>
          decimal.number(node.of === 'running_var' ? 0.5 + v * v : v),
        );
        const value = known.get(id) ?? made;
        known.set(id, value);
        return value;
      };
      const parameters = new Map([['eps', decimal.number(1e-5)]]);
      /** Values of expressions with the primals moved along their tangents. */
      const at = (exprs: readonly Expr[], move: Digits) => {
        const moved = (node: Node<'input'>): Digits[] => {
          const index = wrt.indexOf(node);
          const value = dataOf(node);
          if (index < 0) return value;
          const along = dataOf(tangents.get(node) as Node<'input'>);
          return value.map((x, i) => decimal.add(x, decimal.mul(move, along[i]!)));
        };
        const bindings = {
          sizes: axes,
          parameters,
          input: (node: Node<'input'>) => ({ axes: node.axes, data: moved(node) }),
        };
        return interpret(exprs, bindings, decimal);
      };
      const zero = decimal.number(0);
      const dot = (exprs: readonly Expr[], others: readonly Expr[], move: Digits): Digits => {
        const values = at(exprs, move);
        return values
          .flatMap((value, i) => {
            const other = others[i] as Node<'input'>;
            const { data } = arrange(value, other.axes, axes);
            return data.map((x, k) => decimal.mul(x, dataOf(other)[k]!));
          })
          .reduce((a, b) => decimal.add(a, b), zero);
      };
      const reverse = dot(
        third,
        wrt.map((node) => tangents.get(node)!),
        zero,
      );
      const along = dot(forwardMode, cts3, zero);
      const back = decimal.mul(decimal.number(-1), step);
      const rise = decimal.add(
        dot(second, cts3, step),
        decimal.mul(decimal.number(-1), dot(second, cts3, back)),
      );
      const difference = decimal.div(rise, decimal.mul(decimal.number(2), step));
      const scale = Math.max(1e-3, Math.abs(decimal.toNumber(difference)));
      const apart = (value: Digits): number =>
        Math.abs(decimal.toNumber(decimal.add(value, decimal.mul(decimal.number(-1), difference)))) / scale;
      assert.ok(apart(reverse) < 1e-25, `reverse over the double backward is ${apart(reverse)} away`);
      assert.ok(apart(along) < 1e-25, `forward over the double backward is ${apart(along)} away`);
    });
  }
}

test.run();
