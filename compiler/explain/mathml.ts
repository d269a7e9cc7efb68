/** Notation as presentation MathML. */

import { splitName } from './names.ts';
import {
  argumentsOf,
  isBig,
  isMasked,
  isShort,
  isWeakBelow,
  isWeakFactor,
  isWeakTerm,
  type Kind,
  type Notation,
  nameNotation,
  type SignedTerm,
} from './notation.ts';
import { type Bit, type Pieces, piecesOf, piecesWidth } from './pieces.ts';

export const escapeMarkup = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** A formula within a line. */
export const inlineMath = (n: Notation): string => `<math>${mathOf(n)}</math>`;

/**
 * A formula on its own, which the page breaks between elements where it is wider than there is room; what is within
 * `columns` characters is broken on narrow screens alone. `sign` stands before it.
 */
export function displayMath(n: Notation, columns: number, sign = ''): string {
  const mark = sign && `<mo form="prefix" rspace="0.3em">${sign}</mo>`;
  return `<div class="math">${piecesMath(piecesOf(n, narrow), columns, mark)}</div>`;
}

/** Characters of mathematics that fit across a telephone. */
const narrow = 22;

function piecesMath(pieces: Pieces, columns: number, mark: string): string {
  if ('bits' in pieces)
    return `<math displaystyle="true">${row(mark + pieces.bits.map(bitMath).join(''))}</math>`;
  const parts = pieces.parts.map((part, i) => piecesMath(part, columns, i === 0 ? mark : '')).join('');
  return piecesWidth(pieces) <= columns ? `<span class="part">${parts}</span>` : parts;
}

function bitMath(bit: Bit): string {
  switch (bit.is) {
    case 'whole':
      return bit.inParens ? parens(bit.of) : mathOf(bit.of);
    case 'sign':
      return bit.isFirst && bit.minus ? prefixMinus : `<mo form="infix">${bit.minus ? '−' : '+'}</mo>`;
    case 'times':
      return times;
    case 'comma':
      return comma;
    case 'open':
      return fence('(', 'prefix', bit.isTall);
    case 'close':
      return fence(')', 'postfix', bit.isTall);
    case 'mask':
      return maskMath(bit.test);
    case 'function':
      return functionMath(bit.name);
    case 'keyword':
      return `${nameMath(bit.name)}<mo>=</mo>`;
    case 'over':
      return overMath(bit.fn, bit.over);
  }
}

function fence(text: string, form: 'prefix' | 'postfix', isTall: boolean): string {
  const size = isTall ? ' symmetric="true" minsize="1.9em" maxsize="1.9em"' : ' stretchy="false"';
  return `<mo form="${form}"${size}>${text}</mo>`;
}

function termsMath(terms: readonly SignedTerm[]): string {
  return terms
    .map(({ minus, of }, i) => {
      const term = wrapped(of, isWeakTerm(of, i === terms.length - 1));
      if (i === 0) return `${minus ? prefixMinus : ''}${term}`;
      return `<mo form="infix">${minus ? '−' : '+'}</mo>${term}`;
    })
    .join('');
}

const prefixMinus = '<mo form="prefix">−</mo>';
const times = '<mo form="infix" lspace="0.14em" rspace="0.14em">·</mo>';
const comma = '<mo separator="true">,</mo>';
const row = (content: string): string => `<mrow>${content}</mrow>`;
const parens = (n: Notation): string => `<mrow><mo>(</mo>${mathOf(n)}<mo>)</mo></mrow>`;
const wrapped = (n: Notation, isWeak: boolean): string => (isWeak ? parens(n) : mathOf(n));

/** The markup of a formula, without the element around it. */
export function mathOf(n: Notation): string {
  switch (n.is) {
    case 'name':
      return nameMath(n.text);
    case 'number':
      return n.text.startsWith('-') ? `${prefixMinus}<mn>${n.text.slice(1)}</mn>` : `<mn>${n.text}</mn>`;
    case 'count':
      return `<mrow><mo>|</mo>${axesMath(n.axes)}<mo>|</mo></mrow>`;
    case 'sum':
      return row(termsMath(n.terms));
    case 'product':
      return row(n.factors.map((factor, i) => inProduct(factor, i === n.factors.length - 1)).join(times));
    case 'fraction':
      return `<mfrac>${row(mathOf(n.above))}${row(mathOf(n.below))}</mfrac>`;
    case 'power':
      return `<msup>${isShort(n.base) ? row(mathOf(n.base)) : parens(n.base)}${row(exponentMath(n.exponent))}</msup>`;
    case 'root':
      return `<msqrt>${mathOf(n.of)}</msqrt>`;
    case 'call': {
      const { plain, named } = argumentsOf(n);
      const keywords = named.map(
        ([keyword, value]) => `${mathOf(nameNotation(keyword))}<mo>=</mo>${inRelation(value)}`,
      );
      const args = [...plain.map(mathOf), ...keywords].join(comma);
      if (n.fn === 'abs') return `<mrow><mo>|</mo>${args}<mo>|</mo></mrow>`;
      return `<mrow>${functionMath(n.fn)}<mo>(</mo>${args}<mo>)</mo></mrow>`;
    }
    case 'reduce':
      return reduceMath(n);
    case 'relation':
      return row(
        `${inRelation(n.a)}<mo>${relations[n.operator] ?? escapeMarkup(n.operator)}</mo>${inRelation(n.b)}`,
      );
    case 'not':
      return row(`<mo form="prefix">¬</mo>${parens(n.of)}`);
    case 'choice':
      return choiceMath(n);
  }
}

const relations: { readonly [operator: string]: string } = {
  '<=': '≤',
  '>=': '≥',
  '==': '=',
  '!=': '≠',
  and: '∧',
  or: '∨',
};

const exponentMath = (n: Notation): string =>
  n.is === 'fraction' ? `${mathOf(n.above)}<mo>/</mo>${mathOf(n.below)}` : mathOf(n);
const inRelation = (n: Notation): string => wrapped(n, n.is === 'relation' || n.is === 'choice');
const inProduct = (n: Notation, isLast: boolean): string => wrapped(n, isWeakFactor(n, isLast));

const reduceMath = ({ fn, of, over }: Kind<'reduce'>): string =>
  row(`${overMath(fn, over)}${wrapped(of, !isBig(fn) || isWeakBelow(of))}`);

function overMath(fn: Kind<'reduce'>['fn'], over: readonly string[]): string {
  const name = fn === 'amax' ? 'max' : fn === 'amin' ? 'min' : fn;
  const sign = isBig(fn) ? `<mo>${fn === 'sum' ? '∑' : '∏'}</mo>` : functionMath(name);
  return `<munder>${sign}${row(axesMath(over))}</munder>`;
}

const functionMath = (name: string): string => `<mi mathvariant="normal">${escapeMarkup(name)}</mi>`;
const maskMath = (test: Notation): string => `<mrow><mo>[</mo>${mathOf(test)}<mo>]</mo></mrow>`;

function choiceMath(n: Kind<'choice'>): string {
  if (isMasked(n)) {
    const isOne = n.then.is === 'number' && n.then.text === '1';
    return isOne ? maskMath(n.test) : row(`${maskMath(n.test)}${inProduct(n.then, true)}`);
  }
  const line = (value: Notation, when: string): string =>
    `<mtr><mtd class="left">${mathOf(value)}</mtd><mtd class="right">${when}</mtd></mtr>`;
  const cases = [
    line(n.then, `<mtext>if&#160;</mtext>${mathOf(n.test)}`),
    line(n.else, '<mtext>otherwise</mtext>'),
  ];
  return `<mrow><mo>{</mo><mtable>${cases.join('')}</mtable></mrow>`;
}

const axesMath = (axes: readonly string[]): string => axes.map(nameMath).join(comma);

/** A name as one symbol, with an index where it has one. */
function nameMath(text: string): string {
  if (text === 'pi') return '<mi>π</mi>';
  const { base, index } = splitName(text);
  const word = (part: string): string =>
    part.length === 1 ? `<mi>${escapeMarkup(part)}</mi>` : `<mi class="word">${escapeMarkup(part)}</mi>`;
  if (index === undefined) return word(base);
  return `<msub>${word(base)}${/^\d+$/.test(index) ? `<mn>${index}</mn>` : word(index)}</msub>`;
}
