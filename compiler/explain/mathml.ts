/** Notation as presentation MathML. */

import { splitName } from './names.ts';
import {
  argumentsOf,
  endsOpen,
  isMasked,
  isShort,
  type Kind,
  type Notation,
  nameNotation,
  type SignedTerm,
} from './notation.ts';
import { type Line, linesOf, lineWidth } from './rows.ts';

export const escapeMarkup = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** A formula within a line. */
export const inlineMath = (n: Notation): string => `<math>${mathOf(n)}</math>`;

/** A formula on its own, a long one in several lines, smaller where these are long; `sign` stands before the first. */
export function displayMath(n: Notation, columns: number, sign = ''): string {
  const mark = sign && `<mo form="prefix" rspace="0.3em">${sign}</mo>`;
  const indent = '<mspace width="2em"></mspace>';
  const lines = linesOf(n, columns);
  const widest = Math.max(...lines.map(lineWidth));
  const small =
    widest > columns
      ? ` style="font-size:${Math.max(60, Math.min(100, Math.round((110 * columns) / widest)))}%"`
      : '';
  return lines
    .map(
      (line, i) =>
        `<math display="block"${small}>${i === 0 ? mark : indent}${row(lineMath(line, i === 0))}</math>`,
    )
    .join('');
}

const fence = (text: string): string => `<mo stretchy="false">${text}</mo>`;

function lineMath({ terms, opens, closes }: Line, isFirst: boolean): string {
  const before =
    opens && `${[...opens.map((factor) => inProduct(factor, false)), ''].join(times)}${fence('(')}`;
  return `${before ?? ''}${termsMath(terms, isFirst)}${closes ? fence(')') : ''}`;
}

function termsMath(terms: readonly SignedTerm[], isFirstLine: boolean): string {
  const [first] = terms;
  if (isFirstLine && terms.length === 1 && first && !first.minus) return mathOf(first.of);
  return terms
    .map(({ minus, of }, i) => {
      const term = inSum(of, i === terms.length - 1);
      if (isFirstLine && i === 0) return `${minus ? prefixMinus : ''}${term}`;
      return `<mo form="infix">${minus ? '−' : '+'}</mo>${term}`;
    })
    .join('');
}

const prefixMinus = '<mo form="prefix">−</mo>';
const times = '<mo lspace="0.14em" rspace="0.14em">·</mo>';
const row = (content: string): string => `<mrow>${content}</mrow>`;
const parens = (n: Notation): string => `<mrow><mo>(</mo>${mathOf(n)}<mo>)</mo></mrow>`;

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
      return row(termsMath(n.terms, true));
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
      const args = [...plain.map(mathOf), ...keywords].join('<mo separator="true">,</mo>');
      if (n.fn === 'abs') return `<mrow><mo>|</mo>${args}<mo>|</mo></mrow>`;
      return `<mrow><mi mathvariant="normal">${escapeMarkup(n.fn)}</mi><mo>(</mo>${args}<mo>)</mo></mrow>`;
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
/** What reaches as far as it can needs parentheses where something follows. */
const inSum = (n: Notation, isLast: boolean): string =>
  n.is === 'sum' || n.is === 'relation' || (!isLast && endsOpen(n)) ? parens(n) : mathOf(n);
const inRelation = (n: Notation): string =>
  n.is === 'relation' || n.is === 'choice' ? parens(n) : mathOf(n);

/** A big operator reaches as far as it can, so only the last factor may be one without parentheses. */
function inProduct(n: Notation, isLast: boolean): string {
  const isMask = n.is === 'choice' && isMasked(n);
  const isWeak = n.is === 'sum' || n.is === 'relation' || n.is === 'not' || (n.is === 'choice' && !isMask);
  return isWeak || (!isLast && endsOpen(n)) ? parens(n) : mathOf(n);
}

function reduceMath({ fn, of, over }: Kind<'reduce'>): string {
  const axes = row(axesMath(over));
  if (fn === 'sum' || fn === 'prod') {
    const inner = of.is === 'sum' || of.is === 'relation' || of.is === 'choice' ? parens(of) : mathOf(of);
    return row(`<munder><mo>${fn === 'sum' ? '∑' : '∏'}</mo>${axes}</munder>${inner}`);
  }
  const name = fn === 'amax' ? 'max' : fn === 'amin' ? 'min' : fn;
  return row(`<munder><mi mathvariant="normal">${name}</mi>${axes}</munder>${parens(of)}`);
}

function choiceMath(n: Kind<'choice'>): string {
  if (isMasked(n)) {
    const test = `<mrow><mo>[</mo>${mathOf(n.test)}<mo>]</mo></mrow>`;
    const isOne = n.then.is === 'number' && n.then.text === '1';
    return isOne ? test : row(`${test}${inProduct(n.then, true)}`);
  }
  const line = (value: Notation, when: string): string =>
    `<mtr><mtd class="left">${mathOf(value)}</mtd><mtd class="right">${when}</mtd></mtr>`;
  const cases = [
    line(n.then, `<mtext>if&#160;</mtext>${mathOf(n.test)}`),
    line(n.else, '<mtext>otherwise</mtext>'),
  ];
  return `<mrow><mo>{</mo><mtable>${cases.join('')}</mtable></mrow>`;
}

const axesMath = (axes: readonly string[]): string => axes.map(nameMath).join('<mo separator="true">,</mo>');

/** A name as one symbol, with an index where it has one. */
function nameMath(text: string): string {
  if (text === 'pi') return '<mi>π</mi>';
  const { base, index } = splitName(text);
  const word = (part: string): string =>
    part.length === 1 ? `<mi>${escapeMarkup(part)}</mi>` : `<mi class="word">${escapeMarkup(part)}</mi>`;
  if (index === undefined) return word(base);
  return `<msub>${word(base)}${/^\d+$/.test(index) ? `<mn>${index}</mn>` : word(index)}</msub>`;
}
