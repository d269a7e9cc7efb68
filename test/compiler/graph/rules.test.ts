/** Each rule of the algebra alone: what it replaces and what it puts there have the same value. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Axes } from '../../../compiler/graph/axes.ts';
import { atom, linear, mul, one, power, rawMask, scale, size, sum } from '../../../compiler/graph/build.ts';
import { additionRules } from '../../../compiler/graph/centre.ts';
import { type Expr, Fraction } from '../../../compiler/graph/expr.ts';
import { formula } from '../../../compiler/graph/print.ts';
import { maskRules, type Rule, sumRules } from '../../../compiler/graph/rules.ts';
import { farthest } from '../near.ts';
import { type Random, randomOf } from '../random.ts';
import { test as condition, evaluate, inputs, smooth, someAxes, valuesFor } from './random.ts';

const tries = 1500;
const values = valuesFor('rules');

const shared = condition(randomOf('one condition'));

/** What the constructors hand to rules: products, sums, masks and powers of what is at hand. */
function operand(random: Random): Expr {
  const some = (): Expr => smooth(random, Math.floor(random.uniform() * 2));
  const x = inputs[Math.floor(random.uniform() * inputs.length)]!;
  const shapes: readonly (() => Expr)[] = [
    some,
    () => mul(some(), some()),
    () => mul(scale(3, some()), some(), some()),
    () => mul(some(), sum(mul(some(), some()), someAxes(random))),
    () =>
      linear([
        [one, some()],
        [new Fraction(-2), mul(some(), some())],
        [one, size('a')],
      ]),
    () =>
      mul(
        some(),
        linear([
          [one, some()],
          [new Fraction(1, 2), some()],
        ]),
      ),
    () =>
      power(
        linear([
          [one, some()],
          [one, some()],
        ]),
        2,
      ),
    () =>
      atom([
        [one, x],
        [new Fraction(-1), meanOf(x, random)],
      ]),
    () =>
      power(
        atom([
          [one, x],
          [new Fraction(-1), meanOf(x, random)],
        ]),
        2,
      ),
    () => rawMask(condition(random), some()),
    () => rawMask(shared, some()),
  ];
  return shapes[Math.floor(random.uniform() * shapes.length)]!();
}

const meanOf = (x: Expr, random: Random): Expr => {
  const over = x.axes.length > 0 ? x.axes.filter(() => random.uniform() < 0.7) : someAxes(random);
  return mul(sum(x, over), ...over.map((axis) => power(size(axis), -1)));
};

/** What a term is to have added to it, for one of its factors to be less a weighted mean. */
function weightedMeanIn(random: Random, x: Expr): Expr {
  const factors = x.op === 'mul' ? x.factors.filter(([, p]) => p.s > 0n) : [];
  const [f, p] = factors[Math.floor(random.uniform() * factors.length)] ?? [x, one];
  const e = power(f, p);
  const w = smooth(random, 1);
  const over = someAxes(random);
  return scale(-1, mul(x, power(e, -1), sum(mul(w, e), over), power(sum(w, over), -1)));
}

function holds<Context>(rule: Rule<Context>, contextOf: (random: Random, x: Expr) => Context): void {
  const random = randomOf(rule.name);
  let applied = 0;
  for (let k = 0; k < tries; k++) {
    const x = operand(random);
    const context = contextOf(random, x);
    const after = rule.apply(x, context);
    if (!after || (Array.isArray(context) && context.length === 0)) continue;
    applied++;
    const before = rule.before(x, context);
    const [expected, actual] = evaluate([before, after], values);
    const wrong = farthest(actual!, expected!, 1e-9, 1e-3);
    assert.not(wrong, `${formula(before)} → ${formula(after)}: ${wrong}`);
  }
  assert.ok(applied >= 10, `${rule.name} was applied ${applied} times`);
}

const test = suite('rules');
for (const [k, rule] of sumRules.entries()) {
  // the first row leaves to the others only axes that the operand has
  const own = (random: Random, x: Expr): Axes => {
    const over = someAxes(random).filter((axis) => x.axes.includes(axis));
    return over.length > 0 ? over : x.axes.slice(0, 1);
  };
  test(`${rule.name}: ${rule.identity}`, () => holds(rule, k === 0 ? someAxes : own));
}
for (const rule of maskRules) {
  test(`${rule.name}: ${rule.identity}`, () =>
    holds(rule, (random) => (random.uniform() < 0.5 ? shared : condition(random))));
}
for (const rule of additionRules) {
  test(`${rule.name}: ${rule.identity}`, () => holds(rule, weightedMeanIn));
  test(`${rule.name}, under a sum`, () =>
    holds(
      {
        ...rule,
        apply: (x, mean) => rule.apply(sum(x, ['a']), sum(mean, ['a'])),
        before: (x, mean) => sum(rule.before(x, mean), ['a']),
      },
      weightedMeanIn,
    ));
}
test('every rule has a name of its own', () => {
  const names = [...sumRules, ...maskRules, ...additionRules].map(({ name }) => name);
  assert.is(new Set(names).size, names.length);
});
test.run();
