/** Notation as LaTeX's mathematics. */
import { splitName } from './names.ts';
import {
  argumentsOf,
  endsOpen,
  isMasked,
  isShort,
  type Kind,
  type Notation,
  type SignedTerm,
} from './notation.ts';
import type { Line } from './rows.ts';

/** One line of a broken formula. */
export function lineTex({ terms, opens, closes }: Line, isFirst: boolean): string {
  const before = opens
    ? `${opens.map((factor) => inProduct(factor, false)).join(' \\cdot ')} \\cdot \\Bigl(`
    : '';
  return `${before}${termsTex(terms, isFirst)}${closes ? '\\Bigr)' : ''}`;
}

function termsTex(terms: readonly SignedTerm[], isFirst: boolean): string {
  const [first] = terms;
  if (isFirst && terms.length === 1 && first && !first.minus) return texOf(first.of);
  const isLast = (i: number): boolean => i === terms.length - 1;
  const parts = terms.map(({ minus, of }, i) =>
    isFirst && i === 0
      ? `${minus ? '-' : ''}${inSum(of, isLast(i))}`
      : `${minus ? '-' : '+'} ${inSum(of, isLast(i))}`,
  );
  return parts.join(' ');
}

/** A formula in math mode. */
export function texOf(n: Notation): string {
  switch (n.is) {
    case 'name':
      return nameTex(n.text);
    case 'number':
      return n.text.replace(/^(?:1|(.*))e\+?(.*)$/, (_, digits, exponent) =>
        digits ? `${digits} \\cdot 10^{${exponent}}` : `10^{${exponent}}`,
      );
    case 'count':
      return `\\lvert ${axesTex(n.axes)} \\rvert`;
    case 'sum':
      return termsTex(n.terms, true);
    case 'product':
      return n.factors.map((factor, i) => inProduct(factor, i === n.factors.length - 1)).join(' \\cdot ');
    case 'fraction':
      return `\\frac{${texOf(n.above)}}{${texOf(n.below)}}`;
    case 'power':
      return `${isShort(n.base) ? `{${texOf(n.base)}}` : parens(n.base)}^{${exponentTex(n.exponent)}}`;
    case 'root':
      return `\\sqrt{${texOf(n.of)}}`;
    case 'call': {
      const { plain, named } = argumentsOf(n);
      const args = [
        ...plain.map(texOf),
        ...named.map(([keyword, value]) => `${nameTex(keyword)} = ${inRelation(value)}`),
      ];
      if (n.fn === 'abs') return `\\left\\lvert ${texOf(n.args[0]!)} \\right\\rvert`;
      return `\\operatorname{${operatorName(n.fn)}}\\left(${args.join(', ')}\\right)`;
    }
    case 'reduce':
      return reduceTex(n);
    case 'relation':
      return `${inRelation(n.a)} ${relations[n.operator] ?? n.operator} ${inRelation(n.b)}`;
    case 'not':
      return `\\lnot ${parens(n.of)}`;
    case 'choice':
      if (isMasked(n)) {
        const isOne = n.then.is === 'number' && n.then.text === '1';
        return `\\left[${texOf(n.test)}\\right]${isOne ? '' : ` \\, ${inProduct(n.then, true)}`}`;
      }
      return `\\begin{cases} ${texOf(n.then)} & \\text{if } ${texOf(n.test)} \\\\ ${texOf(n.else)} & \\text{otherwise} \\end{cases}`;
  }
}

const relations: { readonly [operator: string]: string } = {
  '<=': '\\le',
  '>=': '\\ge',
  '==': '=',
  '!=': '\\ne',
  and: '\\land',
  or: '\\lor',
};

const exponentTex = (n: Notation): string =>
  n.is === 'fraction' ? `${texOf(n.above)}/${texOf(n.below)}` : texOf(n);

const parens = (n: Notation): string => `\\left(${texOf(n)}\\right)`;
/** What reaches as far as it can needs parentheses where something follows. */
const inSum = (n: Notation, isLast: boolean): string =>
  n.is === 'sum' || n.is === 'relation' || (!isLast && endsOpen(n)) ? parens(n) : texOf(n);
const inRelation = (n: Notation): string => (n.is === 'relation' || n.is === 'choice' ? parens(n) : texOf(n));
/** A big operator reaches as far as it can, so only the last factor may be one without parentheses. */
function inProduct(n: Notation, isLast: boolean): string {
  const isMask = n.is === 'choice' && isMasked(n);
  const isWeak = n.is === 'sum' || n.is === 'relation' || n.is === 'not' || (n.is === 'choice' && !isMask);
  return isWeak || (!isLast && endsOpen(n)) ? parens(n) : texOf(n);
}

function reduceTex({ fn, of, over }: Kind<'reduce'>): string {
  const under = `_{${axesTex(over)}}`;
  if (fn === 'sum' || fn === 'prod') {
    const inner = of.is === 'sum' || of.is === 'relation' || of.is === 'choice' ? parens(of) : texOf(of);
    return `${fn === 'sum' ? '\\sum' : '\\prod'}${under} ${inner}`;
  }
  const name = fn === 'amax' ? 'max' : fn === 'amin' ? 'min' : fn;
  return `\\operatorname*{${name}}${under}\\left(${texOf(of)}\\right)`;
}

const axesTex = (axes: readonly string[]): string => axes.map(nameTex).join(',');

/** A name as one symbol: several letters are set as a word, with an index where it has one. */
function nameTex(text: string): string {
  if (text === 'pi') return '\\pi';
  const { base, index } = splitName(text);
  const word = (part: string): string =>
    part.length === 1 ? escapeText(part) : `\\mathit{${escapeText(part)}}`;
  return index === undefined ? word(base) : `${word(base)}_{${/^\d+$/.test(index) ? index : word(index)}}`;
}

const operatorName = (fn: string): string => escapeText(fn);

const specials: { readonly [character: string]: string } = {
  '\\': '\\textbackslash{}',
  '{': '\\{',
  '}': '\\}',
  '^': '\\textasciicircum{}',
  '~': '\\textasciitilde{}',
  '<': '$<$',
  '>': '$>$',
  '|': '$\\lvert$',
  Σ: '$\\Sigma$',
  Π: '$\\Pi$',
  '→': '$\\rightarrow$',
  '−': '$-$',
  '±': '$\\pm$',
  '·': '$\\cdot$',
  '√': '$\\surd$',
  π: '$\\pi$',
  '½': '$\\tfrac12$',
  '²': '$^2$',
  '³': '$^3$',
  ᵖ: '$^p$',
  ᵇ: '$^b$',
  '⁻': '$^-$',
  '¹': '$^1$',
  ₐ: '$_a$',
  ᵦ: '$_b$',
  '’': "'",
};

/** Text as LaTeX prints it, whatever characters it has. */
export const escapeText = (text: string): string =>
  [...text].map((c) => specials[c] ?? (/[#$%&_]/.test(c) ? `\\${c}` : c)).join('');
