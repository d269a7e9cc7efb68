/** Long formulas are cut so that every piece fits a narrow screen, and nothing is lost. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { documentOf } from '../../compiler/explain/explain.ts';
import { displayMath } from '../../compiler/explain/mathml.ts';
import {
  type Notation,
  nameNotation,
  numberNotation,
  productOf,
  quotientOf,
  sumOf,
} from '../../compiler/explain/notation.ts';
import { explained } from '../../compiler/explain/part.ts';
import { type Piece, type Pieces, piecesOf, piecesWidth } from '../../compiler/explain/pieces.ts';
import { pieceTex, texOf } from '../../compiler/explain/tex.ts';
import { widthOf } from '../../compiler/explain/width.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';
import { variantsOf } from '../../compiler/spec/variants.ts';

const inOrder = (pieces: Pieces): Piece[] => ('parts' in pieces ? pieces.parts.flatMap(inOrder) : [pieces]);
const written = (n: Notation, columns: number): string[] =>
  inOrder(piecesOf(n, columns)).map(({ bits }) => pieceTex(bits));

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(nameNotation) as [Notation, Notation, Notation, Notation];
const plus = (...terms: Notation[]): Notation => sumOf(terms.map((of) => ({ minus: false, of })));
const total = (of: Notation): Notation => ({ is: 'reduce', fn: 'sum', of, over: ['n'] });
const mean = (of: Notation): Notation => ({ is: 'reduce', fn: 'mean', of, over: ['n'] });

test('factors have one sign less than there are of them between them', () => {
  assert.is(widthOf(productOf([a, b, c])), widthOf(a) + widthOf(b) + widthOf(c) + 6);
});

test('what fits stays whole, and the outermost operators are the first to be cut at', () => {
  const sum = plus(productOf([a, b]), productOf([c, plus(a, d)]));
  assert.equal(written(sum, 40), [texOf(sum)]);
  assert.equal(written(sum, 15), ['a \\cdot b', '+ c \\cdot \\left(a + d\\right)']);
});

test('inside parentheses, reductions and fractions', () => {
  const long = plus(a, b, c, d);
  assert.equal(written(productOf([a, long]), 12), ['a \\cdot \\Bigl( a', '+ b', '+ c', '+ d \\Bigr)']);
  assert.equal(written(mean(long), 9), ['\\operatorname*{mean}_{n} \\Bigl( a', '+ b', '+ c', '+ d \\Bigr)']);
  assert.equal(written(quotientOf([long], [d]), 9), [
    '\\frac{1}{d} \\cdot \\Bigl( a',
    '+ b',
    '+ c',
    '+ d \\Bigr)',
  ]);
  const numbered = quotientOf([numberNotation('3'), nameNotation('long_name'), b], [d]);
  assert.equal(written(numbered, 9), ['\\frac{3}{d}', '\\cdot \\mathit{long\\_name}', '\\cdot b']);
});

test('a mask is a factor of its own where what it masks does not fit beside it', () => {
  const masked = (then: Notation): Notation => ({ is: 'choice', test: a, then, else: numberNotation('0') });
  assert.equal(written(masked(plus(b, c)), 7), ['\\left[a\\right] \\, \\Bigl( b', '+ c \\Bigr)']);
  assert.equal(written(masked(productOf([nameNotation('long_name'), b])), 9), [
    '\\left[a\\right] \\,',
    '\\cdot \\mathit{long\\_name}',
    '\\cdot b',
  ]);
});

test('what has no operators is not cut', () => {
  const long = nameNotation('long_name');
  for (const n of [long, quotientOf([a], [long]), quotientOf([long], [long])])
    assert.equal(written(n, 8), [texOf(n)]);
  assert.equal(written(quotientOf([a], [long]), 9), [texOf(quotientOf([a], [long]))]);
});

test('a big operator that something follows has parentheses, as a term and as a factor', () => {
  const sums = plus(total(productOf([a, b])), total(productOf([c, d])));
  assert.equal(written(sums, 12), ['\\left(\\sum_{n} a \\cdot b\\right)', '+ \\sum_{n} c \\cdot d']);
  const masked: Notation = { is: 'choice', test: d, then: total(a), else: numberNotation('0') };
  assert.is(texOf(plus(masked, b)), '\\left(\\left[d\\right] \\, \\sum_{n} a\\right) + b');
  const quotient = quotientOf([total(plus(a, b))], [c]);
  assert.equal(written(productOf([quotient, d]), 9), [
    '\\Bigl( \\frac{1}{c}',
    '\\cdot \\sum_{n} \\left(a + b\\right) \\Bigr)',
    '\\cdot d',
  ]);
});

test('inner formulas stay in one line where there is room', () => {
  const shown = displayMath(
    plus(productOf([nameNotation('long_factor'), plus(a, nameNotation('long_term'))]), b),
    60,
    '=',
  );
  assert.match(shown, /^<div class="math"><span class="part"><span class="part"><math/);
});

/** Without the size of parentheses, spaces, and dots, of which there is none between a mask and what is beside it. */
const plain = (tex: string): string => tex.replace(/\\(?:left|right|Big[lr]|,|cdot)(?![a-z])|\s/g, '');

const { entries } = parseSpec(
  readFileSync(new URL('../../derivatives.yaml', import.meta.url), 'utf8'),
  'derivatives.yaml',
).spec;
for (const name of ['batch_norm', 'layer_norm', 'group_norm', 'rms_norm']) {
  test(`no piece of ${name} is wider than a telephone, and together they are the formula`, () => {
    const entry = entries.find((candidate) => candidate.name === name)!;
    const { blocks } = documentOf(entry, variantsOf(entry), { directions: explained });
    const rows = blocks.flatMap((block) => (block.is === 'equations' ? block.rows : []));
    for (const side of rows.flatMap(({ left, right }) => [left, right])) {
      const pieces = inOrder(piecesOf(side, 22));
      const count = (is: 'open' | 'close'): number =>
        pieces.flatMap(({ bits }) => bits).filter((bit) => bit.is === is).length;
      assert.is(count('open'), count('close'), texOf(side));
      const joined = pieces.map(({ bits }) => pieceTex(bits)).join(' ');
      if (!/frac/.test(joined)) assert.is(plain(joined), plain(texOf(side)));
      for (const piece of pieces) assert.ok(piecesWidth(piece) <= 36, pieceTex(piece.bits));
    }
  });
}

test.run();
