/** A document as LaTeX: one that compiles by itself, with amsmath alone. */
import type { Block, Document, Equation, Note, Prose } from './document.ts';
import type { Notation } from './notation.ts';
import { type Bit, type Piece, type Pieces, piecesOf, piecesWidth } from './pieces.ts';
import { escapeText, pieceTex, texOf } from './tex.ts';
import { widthOf } from './width.ts';

/** About this many characters fit on a line of mathematics. */
const columns = 72;

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
  const lines = linesOf(right, columns - 12).map(pieceTex);
  const [first, ...others] = lines;
  const breaks = relation === '→' && widthOf(left) + widthOf(right) > columns;
  const head = breaks
    ? `${indent} & ${texOf(left)} \\\\\n & \\quad ${sign} ${first}`
    : `${indent} ${texOf(left)} & ${sign} ${first}`;
  return [head, ...others.map((line) => ` & \\quad {} ${line}`)].join(' \\\\\n');
}

/** Fills lines of so many characters with the pieces of a formula. */
function linesOf(n: Notation, room: number): Bit[][] {
  const lines: Bit[][] = [[]];
  let used = 0;
  for (const piece of inOrder(piecesOf(n, room))) {
    const width = piecesWidth(piece);
    if (used > 0 && used + width > room) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1)!.push(...piece.bits);
    used += width;
  }
  return lines;
}

const inOrder = (pieces: Pieces): Piece[] => ('parts' in pieces ? pieces.parts.flatMap(inOrder) : [pieces]);
