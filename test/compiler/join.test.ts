/** Neighbouring loops of CPU kernels: joined where each turn needs nothing of the other loop but of the same turn. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { printStatements } from '../../compiler/emit/printer.ts';
import { typescript } from '../../compiler/emit/typescript.ts';
import { joinLoops } from '../../compiler/kernel/cpu-join.ts';
import { binary, type Code, index, load, name, type Statement, times } from '../../compiler/kernel/kernel.ts';

const test = suite('joined loops');

const id = (text: string): Code => name(text, 'index');
const value = (text: string): Code => name(text, 'real');
const [c, n] = [id('c'), id('n')];
const loop = (axis: string, variable: string, below: Code, ...body: Statement[]): Statement => ({
  do: 'for',
  axes: [axis],
  name: variable,
  from: index(0),
  below,
  step: index(1),
  body,
});
const set = (variable: string, to: Code): Statement => ({ do: 'let', name: variable, value: to });
const store = (array: string, at: Code, to: Code): Statement => ({
  do: 'store',
  array,
  index: at,
  value: to,
});
const array = (text: string, length: Code): Statement => ({ do: 'array', name: text, length, fill: 0 });
const square = (x: Code): Code => binary('*', x, x);

/** What joining makes of these, printed. */
const joined = (...body: Statement[]): string => printStatements(joinLoops(body), typescript, '').trim();
const stays = (...body: Statement[]): void =>
  assert.is(joined(...body), printStatements(body, typescript, '').trim());

test('what is handed over needs no array, and what is read twice is read once', () => {
  const text = joined(
    array('means', c),
    loop(
      'c',
      'i',
      c,
      set('x', load('data', id('i'))),
      set('m', square(value('x'))),
      store('means', id('i'), value('m')),
    ),
    array('factors', c),
    set('size', times(n, c)),
    loop(
      'c',
      'j',
      c,
      set('y', load('data', id('j'))),
      store('factors', id('j'), binary('*', load('means', id('j')), value('y'))),
    ),
    loop('n', 'k', n, store('out', id('k'), load('factors', id('k')))),
  );
  assert.is(
    text,
    `const factors = new Float64Array(c);
const size = n * c;
for (let i = 0; i < c; i++) {
  const x = data[i]!;
  const m = x * x;
  factors[i] = m * x;
}
for (let k = 0; k < n; k++) {
  out[k] = factors[k]!;
}`,
  );
});

test('loops in loops', () => {
  const place = (base: string, j: string): Code => binary('+', id(base), id(j));
  const rows = (i: string, base: string, body: Statement): Statement =>
    loop('n', i, n, set(base, times(id(i), c)), body);
  const text = joined(
    rows('i', 'row', loop('c', 'j', c, store('a', place('row', 'j'), value('t')))),
    rows('k', 'base', loop('c', 'l', c, store('b', place('base', 'l'), load('a', place('base', 'l'))))),
  );
  assert.is(
    text,
    `for (let i = 0; i < n; i++) {
  const row = i * c;
  for (let j = 0; j < c; j++) {
    a[row + j] = t;
    b[row + j] = a[row + j]!;
  }
}`,
  );
});

test('what callers passed is read again after it was stored: it may be rounded', () => {
  const text = joined(
    loop('c', 'i', c, set('m', square(value('t'))), store('mean', id('i'), value('m'))),
    loop('c', 'j', c, store('factors', id('j'), load('mean', id('j')))),
  );
  assert.ok(text.includes('factors[i] = mean[i]!'), text);
});

test('a loop that needs another turn of the one before stays', () => {
  const first = loop('c', 'i', c, store('a', id('i'), value('t')));
  stays(first, loop('c', 'j', c, store('b', id('j'), load('a', binary('+', id('j'), index(1))))));
  stays(first, loop('c', 'j', c, store('b', id('j'), load('a', index(0)))));
});

test('a loop that adds up stays', () => {
  const total = loop(
    'c',
    'i',
    c,
    store('sum', index(0), binary('+', load('sum', index(0)), load('x', id('i')))),
  );
  stays(total, loop('c', 'j', c, store('b', id('j'), load('sum', index(0)))));
});

test('a loop over another range stays', () => {
  stays(
    loop('c', 'i', c, store('a', id('i'), value('t'))),
    loop('n', 'j', n, store('b', id('j'), value('t'))),
  );
});

test('a name that reads what a loop stored stays behind it', () => {
  stays(
    loop('c', 'i', c, store('a', id('i'), value('t'))),
    set('first', load('a', index(0))),
    loop('c', 'j', c, store('b', id('j'), value('first'))),
  );
});

test.run();
