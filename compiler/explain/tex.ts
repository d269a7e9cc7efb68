/** Notation as LaTeX's mathematics. */
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
  type SignedTerm,
} from './notation.ts';
import type { Bit } from './pieces.ts';

/** A piece of a broken formula. */
export const pieceTex = (bits: readonly Bit[]): string => bits.map(bitTex).join(' ');

function bitTex(bit: Bit): string {
  switch (bit.is) {
    case 'whole':
      return wrapped(bit.of, bit.inParens);
    case 'sign':
      return bit.minus ? '-' : '+';
    case 'times':
      return '\\cdot';
    case 'comma':
      return ',';
    case 'open':
      return '\\Bigl(';
    case 'close':
      return '\\Bigr)';
    case 'mask':
      return `${maskTex(bit.test)} \\,`;
    case 'function':
      return functionTex(bit.name);
    case 'keyword':
      return `${nameTex(bit.name)} =`;
    case 'over':
      return overTex(bit.fn, bit.over);
  }
}

function termsTex(terms: readonly SignedTerm[]): string {
  const parts = terms.map(({ minus, of }, i) => {
    const term = wrapped(of, isWeakTerm(of, i === terms.length - 1));
    return i === 0 ? `${minus ? '-' : ''}${term}` : `${minus ? '-' : '+'} ${term}`;
  });
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
      return termsTex(n.terms);
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
      return `${functionTex(n.fn)}\\left(${args.join(', ')}\\right)`;
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
        return `${maskTex(n.test)}${isOne ? '' : ` \\, ${inProduct(n.then, true)}`}`;
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
const wrapped = (n: Notation, isWeak: boolean): string => (isWeak ? parens(n) : texOf(n));
const inRelation = (n: Notation): string => wrapped(n, n.is === 'relation' || n.is === 'choice');
const inProduct = (n: Notation, isLast: boolean): string => wrapped(n, isWeakFactor(n, isLast));
const maskTex = (test: Notation): string => `\\left[${texOf(test)}\\right]`;

function reduceTex({ fn, of, over }: Kind<'reduce'>): string {
  const inner = wrapped(of, !isBig(fn) || isWeakBelow(of));
  return `${overTex(fn, over)}${isBig(fn) ? ' ' : ''}${inner}`;
}

function overTex(fn: Kind<'reduce'>['fn'], over: readonly string[]): string {
  const under = `_{${axesTex(over)}}`;
  if (isBig(fn)) return `${fn === 'sum' ? '\\sum' : '\\prod'}${under}`;
  const name = fn === 'amax' ? 'max' : fn === 'amin' ? 'min' : fn;
  return `\\operatorname*{${name}}${under}`;
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

const functionTex = (fn: string): string => `\\operatorname{${escapeText(fn)}}`;

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
