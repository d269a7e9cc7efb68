/** Every line that an explanation shows is true in numbers. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { allSteps } from '../../compiler/explain/algebra.ts';
import { type Derivation, derive, wantable } from '../../compiler/explain/derivation.ts';
import { exprNotation } from '../../compiler/explain/from-expr.ts';
import { scalarNotation } from '../../compiler/explain/from-scalar.ts';
import { textOf } from '../../compiler/explain/text.ts';
import { spelledOut } from '../../compiler/explain/values.ts';
import { float64 } from '../../compiler/graph/arithmetic.ts';
import { axesOf } from '../../compiler/graph/axes.ts';
import { input } from '../../compiler/graph/build.ts';
import { type Expr, topological } from '../../compiler/graph/expr.ts';
import { lowerClaim, lowerEntry } from '../../compiler/graph/formulas.ts';
import { arrange, elements, interpret, type Value } from '../../compiler/graph/interpret.ts';
import { createScalars } from '../../compiler/kernel/scalar.ts';
import { areEqual } from '../../compiler/prove/equal.ts';
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
      const meaning = node.role === 'cotangent' ? undefined : known.get(node.of);
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

/** What the names of a derivation mean, over the arguments. */
const meaningsOf = ({ values }: Derivation): Map<string, Expr> =>
  new Map(values.map(({ name, node }) => [name, spelledOut([node], values)[0]!]));

const all: [Entry, Variant][] = [
  ...ops.map((entry): [Entry, Variant] => [entry, variantsOf(entry)[0]!]),
  ...shipped.flatMap((entry) => variantsOf(entry).map((variant): [Entry, Variant] => [entry, variant])),
];

const steps = suite('each rewrite shown is an equality');
const reverse = suite('reverse mode by hand gives the gradients');
for (const [entry, variant] of all) {
  const title = `${entry.name}, ${variantKey(entry, variant)}`;
  const derivation = derive(entry, variant, wantable(entry, variant));
  const meanings = meaningsOf(derivation);

  steps(title, () => {
    const numbers = evaluator(title, meanings);
    const shown = [...derivation.forwardSteps, ...derivation.gradients.flatMap((g) => g.steps)];
    for (const { rule, before, after } of allSteps(shown)) {
      assertSame(before, after, numbers, rule);
      assertSame(derivation.named(before), derivation.named(after), numbers, `${rule}, with names`);
    }
  });

  reverse(title, () => {
    const cotangents = new Map(derivation.reverse.cotangents.map(({ name, expr }) => [name, expr]));
    const numbers = evaluator(title, new Map([...meanings, ...cotangents]));
    for (const { of, expr } of derivation.gradients) {
      const byHand = cotangents.get(`d${of}`);
      if (byHand) assertSame(byHand, expr, numbers, of);
    }
  });
}
steps.run();
reverse.run();

const lemma = suite('the rule of the variance follows from its definition');
lemma('in numbers', () => {
  const { lemma: shown } = derive(ops[0]!, variantsOf(ops[0]!)[0]!, ['x']);
  assert.ok(shown);
  const meanings = new Map([
    ...shown.values.map(({ name, node }) => [name, spelledOut([node], shown.values)[0]!] as const),
    ...shown.reverse.cotangents.map(({ name, expr }) => [name, expr] as const),
  ]);
  const numbers = evaluator('variance', meanings);
  assertSame(input('scratch', 'da', shown.gradient.axes), shown.gradient, numbers, 'da');
  assert.ok(allSteps(shown.steps).some(({ rule }) => rule === 'centred values sum to zero'));
});
lemma.run();

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
  const derived = derive(entry, variantsOf(entry)[0]!, [wrt]).gradients[0]!;
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
    const { gradients } = derive(entry, variantsOf(entry)[0]!, [wrt]);
    const inOrder = (axes: readonly string[]): readonly string[] => axes;
    const scalars = createScalars();
    const { expr } = gradients[0]!;
    assert.ok(isProved(entry, wrt, textOf(exprNotation(inOrder)(expr))), 'as the graph has it');
    assert.ok(
      isProved(entry, wrt, textOf(scalarNotation(scalars, inOrder)(scalars.of(expr)))),
      'as kernels do',
    );
  });
}
printed.run();
