/** Every line that an explanation shows is true in numbers. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { allSteps } from '../../compiler/explain/algebra.ts';
import { type Derivation, derive, wantable } from '../../compiler/explain/derivation.ts';
import { exprNotation } from '../../compiler/explain/from-expr.ts';
import { scalarNotation } from '../../compiler/explain/from-scalar.ts';
import { type Explained, explained } from '../../compiler/explain/part.ts';
import { textOf } from '../../compiler/explain/text.ts';
import { spelledOut } from '../../compiler/explain/values.ts';
import { float64 } from '../../compiler/graph/arithmetic.ts';
import { axesOf } from '../../compiler/graph/axes.ts';
import { input, mul, number, power } from '../../compiler/graph/build.ts';
import { type Expr, topological } from '../../compiler/graph/expr.ts';
import { type Forward, lowerClaim, lowerEntry } from '../../compiler/graph/formulas.ts';
import { arrange, elements, interpret, type Value } from '../../compiler/graph/interpret.ts';
import { inputName, tensorName } from '../../compiler/graph/print.ts';
import { settled } from '../../compiler/graph/products.ts';
import { createScalars } from '../../compiler/kernel/scalar.ts';
import { areEqual } from '../../compiler/prove/equal.ts';
import { differentiable, gradientsOf, secondOf, tangentsOf } from '../../compiler/schedule/program.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';
import type { Entry, Variant } from '../../compiler/spec/spec.ts';
import { variantKey, variantsOf } from '../../compiler/spec/variants.ts';
import { randomOf } from '../compiler/random.ts';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const entriesOf = (text: string): readonly Entry[] => parseSpec(text, 'ops.yaml').spec.entries;
const ops = entriesOf(read('ops.yaml'));
const shipped = entriesOf(read('../../derivatives.yaml'));

/** Evaluates over random tensors, the same for one seed; names of an explanation stand for what they name. */
function evaluator(seed: string, known: ReadonlyMap<string, Expr> = new Map()) {
  const sizes = new Map<string, number>();
  const values = new Map<string, Value<number>>();
  const evaluate = (e: Expr): Value<number> => {
    const nodes = topological([e]);
    for (const axis of nodes.flatMap((node) => (node.op === 'size' ? [node.axis] : node.axes)))
      if (!sizes.has(axis)) sizes.set(axis, 2 + (sizes.size % 3));
    const parameters = new Map(
      nodes.flatMap((node) => (node.op === 'parameter' ? [[node.name, 0.5] as const] : [])),
    );
    const numbersOf = (node: Extract<Expr, { op: 'input' }>): Value<number> => {
      const name = node.role === 'tangent' ? inputName(node) : node.of;
      const meaning = /^cotangent/.test(node.role) ? undefined : known.get(name);
      if (meaning) return evaluate(meaning);
      const key = `${node.role} ${node.of}`;
      const { normal } = randomOf(`${seed} ${key}`);
      const data = Array.from({ length: elements(node.axes, sizes) }, () => 0.3 + Math.abs(normal()));
      const value = values.get(key) ?? { axes: node.axes, data };
      values.set(key, value);
      return value;
    };
    return interpret([e], { sizes, parameters, input: numbersOf }, float64)[0]!;
  };
  return { evaluate, sizes };
}

function assertSame(a: Expr, b: Expr, { evaluate, sizes }: ReturnType<typeof evaluator>, what: string): void {
  const axes = axesOf([...a.axes, ...b.axes]);
  const [x, y] = [evaluate(a), evaluate(b)].map((value) => arrange(value, axes, sizes).data) as [
    readonly number[],
    readonly number[],
  ];
  const scale = Math.max(1, ...y.map(Math.abs));
  for (const [i, value] of x.entries())
    assert.ok(Math.abs(value - y[i]!) <= 1e-9 * scale, `${what}: ${value} and ${y[i]}`);
}

/** What the names of a derivation mean, over the arguments and what the caller hands in. */
function meaningsOf({ values, parts }: Derivation): Map<string, Expr> {
  const named = [...values, ...parts.flatMap(({ start }) => start)];
  return new Map(named.map(({ name, node }) => [name, spelledOut([node], named)[0]!]));
}

const all: [Entry, Variant][] = [
  ...ops.map((entry): [Entry, Variant] => [entry, variantsOf(entry)[0]!]),
  ...shipped.flatMap((entry) => variantsOf(entry).map((variant): [Entry, Variant] => [entry, variant])),
];

/** What the compiler derives, by the names that an explanation gives the results. */
function derivedBy(direction: Explained, forward: Forward): Map<string, Expr> {
  const named = (exprs: ReadonlyMap<string, Expr>, role: string): [string, Expr][] =>
    [...exprs].map(([of, expr]) => [tensorName(role, of), expr]);
  if (direction === 'backward') return new Map(named(gradientsOf(forward), 'gradient'));
  if (direction === 'jvp') return new Map(named(tangentsOf(forward), 'output_tangent'));
  const { grads, inputs } = secondOf(
    forward,
    differentiable(forward).map(({ name }) => name),
  );
  return new Map([...named(grads, 'second_cotangent'), ...named(inputs, 'second')]);
}

const steps = suite('each rewrite shown is an equality');
const byHand = suite('what is derived by hand is what the compiler derives');
for (const [entry, variant] of all) {
  const title = `${entry.name}, ${variantKey(entry, variant)}`;
  const derivation = derive(entry, variant, wantable(entry, variant), explained);
  const meanings = meaningsOf(derivation);

  steps(title, () => {
    const numbers = evaluator(title, meanings);
    const results = derivation.parts.flatMap((part) => part.results);
    const shown = [...derivation.forwardSteps, ...results.flatMap((result) => result.steps)];
    for (const { rule, before, after } of allSteps(shown)) {
      assertSame(before, after, numbers, rule);
      assertSame(derivation.named(before), derivation.named(after), numbers, `${rule}, with names`);
    }
  });

  for (const { direction, lines, results } of derivation.parts) {
    byHand(`${title}, ${direction}`, () => {
      const found = new Map(lines.map(({ name, expr }) => [name, expr]));
      const numbers = evaluator(title, new Map([...meanings, ...found]));
      const derived = derivedBy(direction, lowerEntry(entry, variant));
      assert.equal(
        results.map(({ name }) => name),
        [...derived.keys()],
      );
      for (const { name, expr, isReached } of results) {
        assertSame(expr, derived.get(name)!, numbers, name);
        assert.is(found.has(name), isReached, name);
        assertSame(found.get(name) ?? number(0), expr, numbers, `${name}, by hand`);
      }
    });
  }
}
steps.run();
byHand.run();

const lemma = suite('the rule of the variance follows from its definition');
for (const direction of ['backward', 'jvp'] as const) {
  lemma(direction, () => {
    const { parts } = derive(ops[0]!, variantsOf(ops[0]!)[0]!, ['x'], [direction]);
    const shown = parts[0]!.lemma;
    assert.ok(shown);
    const meanings = new Map([
      ...shown.values.map(({ name, node }) => [name, spelledOut([node], shown.values)[0]!] as const),
      ...shown.lines.map(({ name, expr }) => [name, expr] as const),
    ]);
    const numbers = evaluator('variance', meanings);
    assertSame(input('scratch', shown.name, shown.result.axes), shown.result, numbers, shown.name);
    assert.ok(allSteps(shown.steps).some(({ rule }) => rule === 'centred values sum to zero'));
  });
}
lemma.run();

const fixed = suite('what is held fixed does not move');
fixed('frozen weights', () => {
  const entry = shipped.find(({ name }) => name === 'batch_norm')!;
  const { parts } = derive(entry, variantsOf(entry)[0]!, ['x'], explained);
  const names = parts.map(({ results }) => results.map(({ name }) => name));
  assert.equal(names, [['dx'], ['y_t'], ['second_grad_y', 'second_x']]);
  for (const { plan, results } of parts)
    for (const e of [...plan!.program.outputs, ...results].map(({ expr }) => expr))
      for (const node of topological([e]))
        assert.not.ok(node.op === 'input' && /tangent/.test(node.role) && /weight|bias/.test(node.of));
});
fixed.run();

const stopped = suite('stop_gradient');
stopped('stops the second order as well', () => {
  const text = '- name: f(Tensor x[n]) -> Tensor y[n]\n  forward:\n    y: stop_gradient(x ^ 2) * x ^ 3\n';
  const entry = parseSpec(text, 'stop.yaml').spec.entries[0]!;
  const [part] = derive(entry, variantsOf(entry)[0]!, ['x'], ['double_backward']).parts;
  const second = part!.results.find(({ name }) => name === 'second_x')!;
  // y' = x²·3x² with x² fixed, so y'' = x²·6x
  const x = input('input', 'x', ['n']);
  const wanted = mul(number(6), power(x, 3), input('cotangent', 'y', ['n']), input('cotangent2', 'x', ['n']));
  const numbers = evaluator('stop', new Map(part!.lines.map(({ name, expr }) => [name, expr])));
  assertSame(second.expr, wanted, numbers, 'derived');
  assertSame(input('scratch', 'second_x', ['n']), wanted, numbers, 'by hand');
});
stopped.run();

/** A formula as printed, read back as a claim on the gradient and proved. */
function isProved(entry: Entry, wrt: string, printed: string): boolean {
  const before = read('ops.yaml').split(/^(?=- name: )/m);
  const own = before.find((part) => part.startsWith(`- name: ${entry.name}(`))!;
  const { spec, diagnostics } = parseSpec(
    `${own.trimEnd()}\n  gradients:\n    ${wrt}: "${printed}"\n`,
    'ops.yaml',
  );
  assert.equal(diagnostics, [], printed);
  const forward = lowerEntry(spec.entries[0]!, variantsOf(entry)[0]!);
  const cotangents = forward.returns.map(
    (r) => [`grad_${r.name}`, input('cotangent', r.name, r.axes)] as const,
  );
  const claimed = lowerClaim(spec.entries[0]!.gradients[0]!, forward, new Map(cotangents));
  const derived = derive(entry, variantsOf(entry)[0]!, [wrt]).parts[0]!.results[0]!;
  return areEqual(claimed, derived.expr, axesOf(derived.axes)).verdict === 'proved';
}

const printed = suite('printed formulas are formulas of a spec, and right');
for (const [name, wrt] of [
  ['norm', 'x'],
  ['norm', 'w'],
  ['softmax', 'x'],
  ['loss', 'a'],
  ['loss', 'b'],
  ['product', 'w'],
  ['weighted_mean', 'w'],
] as const) {
  printed(`${name}, ${wrt}`, () => {
    const entry = ops.find((candidate) => candidate.name === name)!;
    const { results } = derive(entry, variantsOf(entry)[0]!, [wrt]).parts[0]!;
    const inOrder = (axes: readonly string[]): readonly string[] => axes;
    const scalars = createScalars();
    const expr = settled(results[0]!.expr);
    assert.ok(isProved(entry, wrt, textOf(exprNotation(inOrder)(expr))), 'as the graph has it');
    assert.ok(
      isProved(entry, wrt, textOf(scalarNotation(scalars, inOrder)(scalars.of(expr)))),
      'as kernels do',
    );
  });
}
printed.run();
