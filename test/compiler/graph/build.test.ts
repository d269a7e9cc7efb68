/** Hash-consing, the normal form, and the printer. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  add,
  and,
  atom,
  call,
  compare,
  count,
  div,
  input,
  linear,
  mean,
  mul,
  neg,
  not,
  number,
  one,
  or,
  power,
  prod,
  rsqrt,
  scale,
  select,
  size,
  sub,
  sum,
  truth,
  variance,
} from '../../../compiler/graph/build.ts';
import { compareExprs, type Expr, Fraction, topological } from '../../../compiler/graph/expr.ts';
import { formula, printProgram } from '../../../compiler/graph/print.ts';
import { transform } from '../../../compiler/graph/rebuild.ts';
import { farthest } from '../near.ts';
import { randomOf } from '../random.ts';
import { evaluate, piecewise, smooth, valuesFor } from './random.ts';

const x = input('input', 'x', ['n', 'c']);
const y = input('input', 'y', ['c', 'n']);
const w = input('input', 'w', ['c']);
const s = input('input', 's', []);
const test = suite('build');

test('equal values are one node', () => {
  assert.is(add(x, y), add(y, x));
  assert.is(mul(x, y, w), mul(w, mul(y, x)));
  assert.is(call('exp', x), call('exp', x));
  assert.is(input('input', 'x', ['c', 'n']), x);
  assert.is.not(input('saved', 'x', ['c', 'n']), x);
  assert.is(sum(x, ['n', 'c']), sum(x, ['c', 'n']));
  assert.is(number('0.10'), number(new Fraction(1, 10)));
  assert.is(number('1e-5'), number(new Fraction(1, 100000)));
  assert.is(number('1e40'), number('1e+40'));
});

test('like terms and like factors meet', () => {
  assert.is(add(x, x), scale(2, x));
  assert.is(sub(x, x), number(0));
  assert.is(add(x, neg(x), y), y);
  assert.is(mul(x, x), power(x, 2));
  assert.is(div(x, x), number(1));
  assert.is(mul(rsqrt(x), rsqrt(x)), power(x, -1));
  assert.is(power(power(w, 2), 3), power(w, 6));
  assert.is(mul(scale(2, x), scale(new Fraction(1, 2), y)), mul(x, y));
  assert.is(add(scale(2, mul(x, y)), scale(-2, mul(y, x))), number(0));
  assert.is(mul(x, number(0)), number(0));
});

test('zero over zero is no number', () => {
  const undefinedNumber = call('log', number(-1));
  const infinite = power(number(0), -1);
  assert.is(div(number(0), number(0)), undefinedNumber);
  assert.is(mul(x, number(0), infinite), mul(x, undefinedNumber));
  assert.is(mul(infinite, x, number(0)), mul(x, undefinedNumber));
  for (const e of [
    infinite,
    call('log', number(0)),
    power(number(-1), new Fraction(1, 2)),
    mul(infinite, s),
  ]) {
    const made = [sub(e, e), sub(mul(number(2), e), e), mul(number(0), e), div(e, e), add(s, e, neg(e))];
    const values = evaluate(made, new Map([['input s', [1]]])).map(([first]) => first!);
    assert.ok(values.every(Number.isNaN), `${formula(e)}: ${values}`);
  }
  assert.is(add(infinite, infinite), mul(number(2), infinite));
  assert.is(div(number(0), infinite), number(0));
  assert.is(power(infinite, -2), number(0));
  assert.is(mul(number(0), x), number(0));
});

test('roots of squares are not what was squared', () => {
  assert.is.not(power(power(x, 2), new Fraction(1, 2)), x);
});

test('free additions flatten, those of the author stay whole', () => {
  assert.is(add(x, add(y, w)), add(add(x, y), w));
  const written = atom([
    [one, y],
    [new Fraction(-1), w],
  ]);
  const free = add(x, written);
  assert.is(free.op === 'add' && free.terms.length, 2);
  assert.is(mul(x, written).op, 'mul');
  assert.is(linear([[one, mul(x, add(y, w))]]), add(mul(x, y), mul(x, w)));
});

test('logic is folded', () => {
  const positive = compare('>', x, number(0));
  assert.is(compare('<', number(1), number(2)), truth(true));
  assert.is(not(not(positive)), positive);
  assert.is(and(positive, truth(true)), positive);
  assert.is(and(positive, truth(false)), truth(false));
  assert.is(or(positive, truth(true)), truth(true));
  assert.is(select(truth(true), x, y), x);
  assert.is(select(positive, x, x), x);
});

test('axes, depth and type follow', () => {
  assert.equal(add(x, w).axes, ['c', 'n']);
  assert.equal(sum(x, ['n']).axes, ['c']);
  assert.is(sum(mul(x, sum(y, ['n'])), ['n', 'c']).depth, 2);
  assert.is(compare('<', x, w).type, 'bool');
  assert.is(count(['n', 'c']), mul(size('n'), size('c')));
  assert.is(sum(w, ['n', 'c']), mul(size('n'), sum(w, ['c'])));
  assert.is(variance(w, ['n']), number(0));
  assert.is(prod(s, ['n']).op, 'call');
});

test('the algebra of reductions', () => {
  const mu = mean(x, ['n']);
  const centred = atom([
    [one, x],
    [new Fraction(-1), mu],
  ]);
  assert.is(sum(centred, ['n']), number(0));
  assert.is(sum(power(centred, 2), ['n']), mul(size('n'), variance(x, ['n'])));
  assert.is(sum(mul(w, x), ['n']), mul(w, sum(x, ['n'])));
  assert.is(sum(sum(x, ['n']), ['c']), sum(x, ['n', 'c']));
});

test('the printer', () => {
  const cases: readonly (readonly [Expr, string])[] = [
    [sub(x, w), 'x - w'],
    [div(x, add(w, number(1))), 'x / (w + 1)'],
    [mul(x, rsqrt(w)), 'x / sqrt(w)'],
    [sum(mul(x, y), ['n']), 'sum(x * y, n)'],
    [power(x, 3), 'x ^ 3'],
    [neg(x), '-x'],
    [select(compare('>', x, number(0)), x, w), 'x > 0 ? x : w'],
    [call('max', x, number('0.1')), 'max(x, 0.1)'],
    [number('1e40'), '1e+40'],
  ];
  for (const [e, text] of cases) assert.is(formula(e), text);
  const root = sum(x, ['n']);
  assert.is(
    printProgram([{ name: 'y', expr: mul(root, root, x) }]),
    '%1:[c] = sum(x, n)\ny:[c, n] = %1 ^ 2 * x'.replace(
      '%1 ^ 2 * x',
      formula(mul(power(w, 2), x)).replace('w', '%1'),
    ),
  );
});

test('the order of nodes rests on structure alone', () => {
  const nodes = [x, y, w, s, mul(x, w), add(x, y), sum(x, ['n']), number(2), size('n'), call('exp', x)];
  for (const a of nodes) {
    assert.is(compareExprs(a, a), 0);
    for (const b of nodes) assert.is(Math.sign(compareExprs(a, b)), -Math.sign(compareExprs(b, a)));
  }
});

test('rebuilding changes nothing', () => {
  const random = randomOf('rebuild');
  for (let k = 0; k < 300; k++) {
    const e = piecewise(random, 3);
    assert.is(transform([e], (node) => node)[0], e, formula(e));
    const order = topological([e]);
    assert.is(order.at(-1), e);
    assert.is(new Set(order).size, order.length);
  }
});

test('the normal form has the value of what was written', () => {
  const random = randomOf('normal form');
  const values = valuesFor('normal form');
  for (let k = 0; k < 500; k++) {
    const [a, b, c] = [smooth(random, 2), smooth(random, 2), smooth(random, 2)];
    const built = [
      add(mul(a, b), mul(a, c)),
      mul(a, add(b, c)),
      sub(mul(add(a, b), add(a, b)), mul(a, a)),
      div(b, add(power(c, 2), number(1))),
    ];
    const [va, vb, vc] = evaluate([a, b, c], values) as [number[], number[], number[]];
    const wanted = [
      (i: number) => va[i]! * vb[i]! + va[i]! * vc[i]!,
      (i: number) => va[i]! * (vb[i]! + vc[i]!),
      (i: number) => (va[i]! + vb[i]!) ** 2 - va[i]! ** 2,
      (i: number) => vb[i]! / (vc[i]! ** 2 + 1),
    ];
    for (const [j, found] of evaluate(built, values).entries()) {
      const wrong = farthest(
        found,
        va.map((_, i) => wanted[j]!(i)),
        1e-8,
        1,
      );
      assert.not(wrong, `${formula(built[j]!)}: ${wrong}`);
    }
  }
});

test('powers of too many digits stay powers', () => {
  assert.is(power(number(2), 100).op, 'number');
  assert.is(power(number(1), 1e9).op, 'number');
  assert.is(power(number(2), 1e9).op, 'mul');
});

test.run();
