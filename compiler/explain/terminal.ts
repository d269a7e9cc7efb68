/** A document as plain text for a terminal: formulas in the spec's own language. */
import type { Block, Document, Equation, Note, Prose } from './document.ts';
import { breakFormula, textOf } from './text.ts';

const columns = 100;

/** At most 100 columns, except where a name is longer than that. */
export function terminalText({ title, blocks }: Document): string {
  const parts = blocks.map(blockText).filter((part) => part !== '');
  return `${[underlined(title, '='), ...parts].join('\n\n')}\n`;
}

const underlined = (text: string, line: string): string => `${text}\n${line.repeat(text.length)}`;

function blockText(block: Block): string {
  switch (block.is) {
    case 'heading':
      return block.level === 3 ? block.text : underlined(block.text, block.level === 1 ? '=' : '-');
    case 'paragraph':
      return wrapped(proseText(block.content), '');
    case 'equations':
      return equationsText(block.rows);
    case 'code':
    case 'picture':
      return '';
  }
}

const proseText = (prose: Prose): string =>
  prose.map((part) => (typeof part === 'string' ? part : textOf(part))).join('');

/** Lines of words; the indent is on each of them. */
function wrapped(text: string, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((w) => w !== '')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > columns) {
      lines.push(indent + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, indent + line].join('\n');
}

function equationsText(rows: readonly Equation[]): string {
  const lefts = rows.map(leftText);
  const fits = lefts
    .filter((left, i) => rows[i]!.relation === '=' && left.length <= 24)
    .map((left) => left.length);
  const width = Math.max(0, ...fits);
  return rows.map((row, i) => equationText(row, lefts[i]!, width)).join('\n');
}

const leftText = ({ left, axes }: Equation): string =>
  axes ? `${textOf(left)}[${axes.join(', ')}]` : textOf(left);

function equationText({ relation, right, notes, depth }: Equation, left: string, width: number): string {
  const indent = ' '.repeat(2 + 2 * depth);
  const noted = notes.map((note) => wrapped(noteText(note), `${indent}      `));
  const text = textOf(right);
  if (relation === '→') {
    const before = breakFormula(left, columns - indent.length, '    ').map((line) => indent + line);
    const after = breakFormula(`→ ${text}`, columns - indent.length - 2, '    ').map(
      (line) => `${indent}  ${line}`,
    );
    const flat = `${indent}${left} → ${text}`;
    return [...(flat.length <= columns ? [flat] : [...before, ...after]), ...noted].join('\n');
  }
  const padded = left.padEnd(width);
  const hang = ' '.repeat(Math.min(padded.length, 24) + 1);
  const lines = breakFormula(`${padded} = ${text}`, columns - indent.length, `${hang}  `);
  return [...lines.map((line) => indent + line), ...noted].join('\n');
}

const noteText = ({ rule, text }: Note): string => (rule ? `${rule}: ${proseText(text)}` : proseText(text));
