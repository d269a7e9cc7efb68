/** Values less their weighted mean keep their digits: derivatives in float64 against those at 64 digits, far from zero. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Arithmetic, float64 } from '../../../compiler/graph/arithmetic.ts';
import { input } from '../../../compiler/graph/build.ts';
import { jvp, vjp } from '../../../compiler/graph/differentiate.ts';
import type { Expr, Node } from '../../../compiler/graph/expr.ts';
import { lowerEntry } from '../../../compiler/graph/formulas.ts';
import { elements, interpret } from '../../../compiler/graph/interpret.ts';
import { formula } from '../../../compiler/graph/print.ts';
import { decimal } from '../../../compiler/prove/decimal.ts';
import { differentiable } from '../../../compiler/schedule/program.ts';
import { parseSpec } from '../../../compiler/spec/parse.ts';
import { variantsOf } from '../../../compiler/spec/variants.ts';
import { farthest } from '../near.ts';
import { normals, randomOf } from '../random.ts';

const spec = `
- name: weighted_var(Tensor x[n, d], Tensor w[d]) -> Tensor y[n]
  forward:
    m: sum(w * x, d) / sum(w, d)
    y: sum(w * (x - m) ^ 2, d) / sum(w, d)
- name: logsumexp(Tensor x[n, d], Tensor scale[n]) -> Tensor y[n]
  forward:
    m: amax(scale * x, d)
    y: m + log(sum(exp(scale * x - m), d))
- name: attend(Tensor x[n, k], Tensor keys[d, k], Tensor v[d, k]) -> Tensor y[n, k]
  forward:
    s: sum(x * keys, k)
    z: exp(s - amax(s, d))
    y: sum(z / sum(z, d) * v, d)
`;
const sizes = new Map([
  ['n', 3],
  ['d', 5],
  ['k', 4],
]);
const { entries } = parseSpec(spec, 'spec.yaml').spec;
const far: { readonly [name: string]: number } = {
  weighted_var: 1e6,

  logsumexp: 1e5,
};

const test = suite('weighted means');
for (const entry of entries.filter(({ name }) => name in far)) {
  test(entry.name, () => {
    const forward = lowerEntry(entry, variantsOf(entry)[0]!);
    const wrt = differentiable(forward).map(({ node }) => node);
    const { expr } = forward.returns[0]!;
    const first = vjp([[expr, input('cotangent', 'y', expr.axes)]], wrt);
    const cts = first.map((e, i) => input('cotangent2', `${i}`, e.axes));
    const second = vjp(
      first.map((e, i) => [e, cts[i]!] as const),
      wrt,
    );
    const tangents = jvp([expr], new Map(wrt.map((node, i) => [node, input('tangent', `${i}`, node.axes)])));
    const random = randomOf(entry.name);
    const data = new Map<string, number[]>();
    const dataOf = ({ role, of, axes }: Node<'input'>): number[] => {
      const key = `${role} ${of}`;
      const drawn =
        data.get(key) ??
        normals(random, elements(axes, sizes)).map((v) =>
          of === 'x' ? far[entry.name]! + v : of === 'w' ? 1 + v * v : v,
        );
      data.set(key, drawn);
      return drawn;
    };
    const evaluate = <T>(exprs: readonly Expr[], arithmetic: Arithmetic<T>): number[][] =>
      interpret(
        exprs,
        {
          sizes,
          parameters: new Map(),
          input: (node) => ({ axes: node.axes, data: dataOf(node).map(arithmetic.number) }),
        },
        arithmetic,
      ).map((value) => value.data.map(arithmetic.toNumber));
    const derivatives = [...first, ...second, ...tangents];
    const exact = evaluate(derivatives, decimal);
    for (const [i, found] of evaluate(derivatives, float64).entries()) {
      const off = farthest(found, exact[i]!, 1e-9);
      assert.not(off, `derivative ${i}${off}`);
    }
  });
}
test('sums over more axes than the weights have', () => {
  const attend = entries.find(({ name }) => name === 'attend')!;
  const { expr } = lowerEntry(attend, variantsOf(attend)[0]!).returns[0]!;
  const x = input('input', 'x', ['n', 'k']);
  const [dx] = vjp([[expr, input('cotangent', 'y', expr.axes)]], [x]);
  assert.match(formula(dx!), '(sum(grad_y * v, k) - sum(');
  const [along] = jvp([expr], new Map([[x, input('tangent', 'x', x.axes)]]));
  assert.match(formula(along!), '(v - sum(');
});
test.run();
