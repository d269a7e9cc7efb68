/** Long formulas cut into lines for formats that do not break them: only at the additions of the outermost sum. */
import { isShort, type Notation, partsOf, type SignedTerm } from './notation.ts';

/** About how many characters wide a formula is once it is typeset. */
export function widthOf(n: Notation): number {
  const parts = partsOf(n).map(widthOf);
  const total = parts.reduce((a, b) => a + b, 0);
  switch (n.is) {
    case 'name':
    case 'number':
      return n.text.length;
    case 'count':
      return n.axes.join(' ').length + 2;
    case 'fraction':
      return Math.max(...parts) + 1;
    case 'power':
      return parts[0]! + parts[1]! / 2;
    case 'sum':
      return total + 3 * parts.length;
    case 'choice':
      return total + 6;
    case 'call':
      return total + n.fn.length + 2;
    default:
      return total + 3;
  }
}

/** The terms of a sum in lines of at most so many characters; anything else is one line. */
export function linesOf(n: Notation, columns: number): readonly (readonly SignedTerm[])[] {
  if (n.is !== 'sum' || isShort(n)) return [[{ minus: false, of: n }]];
  const lines: SignedTerm[][] = [[]];
  let used = 0;
  for (const term of n.terms) {
    const width = widthOf(term.of) + 3;
    if (used > 0 && used + width > columns) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1)!.push(term);
    used += width;
  }
  return lines;
}
