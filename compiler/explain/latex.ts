/** A document as LaTeX: one that compiles by itself, with amsmath alone. */
import type { Block, Document, Equation, Note, Prose } from './document.ts';
import { splitName } from './names.ts';
import { isMasked, isShort, type Kind, type Notation, type SignedTerm } from './notation.ts';
import { type Line, linesOf, widthOf } from './rows.ts';

/** About this many characters fit on a line of mathematics. */
const columns = 62;

/** A complete document. */
export function latexText({ title, blocks }: Document): string {
  return `\\documentclass{article}
\\usepackage[T1]{fontenc}
\\usepackage[utf8]{inputenc}
\\usepackage[margin=25mm]{geometry}
\\usepackage{amsmath,amssymb}
\\allowdisplaybreaks
\\begin{document}
\\section*{${escapeText(title)}}

${blocks
  .map(blockTex)
  .filter((part) => part !== '')
  .join('\n\n')}

\\end{document}
`;
}

function blockTex(block: Block): string {
  switch (block.is) {
    case 'heading': {
      const command = block.level === 1 ? 'section' : block.level === 2 ? 'subsection' : 'subsubsection';
      return `\\${command}*{${escapeText(block.text)}}`;
    }
    case 'paragraph':
      return proseTex(block.content);
    case 'equations':
      return equationsTex(block.rows);
    case 'beside':
      return block.left.map(blockTex).join('\n\n');
    case 'code':
    case 'picture':
      return '';
  }
}

const proseTex = (prose: Prose): string =>
  prose.map((part) => (typeof part === 'string' ? escapeText(part) : `$${texOf(part)}$`)).join('');

/** Rows that are explained stand alone, with the explanation below; others are aligned. */
function equationsTex(rows: readonly Equation[]): string {
  const parts: string[] = [];
  let together: Equation[] = [];
  const flush = (): void => {
    if (together.length > 0) parts.push(aligned(together));
    together = [];
  };
  for (const row of rows) {
    together.push(row);
    if (row.notes.length === 0) continue;
    flush();
    parts.push(
      `{\\small\\noindent\\begin{itemize}\n${row.notes.map((note) => `\\item ${noteTex(note)}`).join('\n')}\n\\end{itemize}}`,
    );
  }
  flush();
  return parts.join('\n');
}

const noteTex = ({ rule, text }: Note): string =>
  rule ? `\\emph{${escapeText(rule)}}: ${proseTex(text)}` : proseTex(text);

const aligned = (rows: readonly Equation[]): string =>
  `\\begin{align*}\n${rows.map(rowTex).join(' \\\\\n')}\n\\end{align*}`;

function rowTex({ left, relation, right, depth }: Equation): string {
  const sign = relation === '=' ? '=' : '\\rightarrow';
  const indent = '\\quad'.repeat(depth);
  const lines = linesOf(right, columns - 12).map((line, i) => lineTex(line, i === 0));
  const [first, ...others] = lines;
  const breaks = relation === '→' && widthOf(left) + widthOf(right) > columns;
  const head = breaks
    ? `${indent} & ${texOf(left)} \\\\\n & \\quad ${sign} ${first}`
    : `${indent} ${texOf(left)} & ${sign} ${first}`;
  return [head, ...others.map((line) => ` & \\quad {} ${line}`)].join(' \\\\\n');
}

function lineTex({ terms, opens, closes }: Line, isFirst: boolean): string {
  const before = opens
    ? `${opens.map((factor) => inProduct(factor, false)).join(' \\cdot ')} \\cdot \\Bigl(`
    : '';
  return `${before}${termsTex(terms, isFirst)}${closes ? '\\Bigr)' : ''}`;
}

function termsTex(terms: readonly SignedTerm[], isFirst: boolean): string {
  if (isFirst && terms.length === 1 && !terms[0]!.minus) return texOf(terms[0]!.of);
  const parts = terms.map(({ minus, of }, i) =>
    isFirst && i === 0 ? `${minus ? '-' : ''}${inSum(of)}` : `${minus ? '-' : '+'} ${inSum(of)}`,
  );
  return parts.join(' ');
}

/** A formula in math mode. */
export function texOf(n: Notation): string {
  switch (n.is) {
    case 'name':
      return nameTex(n.text);
    case 'number':
      return n.text;
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
    case 'call':
      if (n.fn === 'abs') return `\\left\\lvert ${texOf(n.args[0]!)} \\right\\rvert`;
      return `\\operatorname{${operatorName(n.fn)}}\\left(${n.args.map(texOf).join(', ')}\\right)`;
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
const inSum = (n: Notation): string => (n.is === 'sum' || n.is === 'relation' ? parens(n) : texOf(n));
const inRelation = (n: Notation): string => (n.is === 'relation' || n.is === 'choice' ? parens(n) : texOf(n));
/** A big operator reaches as far as it can, so only the last factor may be one without parentheses. */
function inProduct(n: Notation, isLast: boolean): string {
  const isBig = n.is === 'reduce' && (n.fn === 'sum' || n.fn === 'prod');
  const isMask = n.is === 'choice' && isMasked(n);
  const isWeak = n.is === 'sum' || n.is === 'relation' || n.is === 'not' || (n.is === 'choice' && !isMask);
  return isWeak || ((isBig || isMask) && !isLast) ? parens(n) : texOf(n);
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
