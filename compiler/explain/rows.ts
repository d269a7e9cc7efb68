/** Long formulas cut into lines for formats that do not break them: only at additions that nothing stands around but factors. */
import { type Notation, partsOf, type SignedTerm } from './notation.ts';

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

/** A line of a formula: terms, which on the first line may stand inside a product, from there to the last. */
export interface Line {
  readonly terms: readonly SignedTerm[];
  /** Factors before the parenthesis that this line opens. */
  readonly opens?: readonly Notation[];
  readonly closes?: boolean;
}

/** A sum, or a product with one as its last factor, in lines of at most so many characters; others are one line. */
export function linesOf(n: Notation, columns: number): readonly Line[] {
  const whole: Line = { terms: [{ minus: false, of: n }] };
  if (widthOf(n) <= columns) return [whole];
  if (n.is === 'sum') return inLines(n.terms, columns, 0).map((terms) => ({ terms }));
  const last = n.is === 'product' ? n.factors.at(-1) : undefined;
  if (n.is !== 'product' || last?.is !== 'sum') return [whole];
  const opens = n.factors.slice(0, -1);
  const start = opens.reduce((width, factor) => width + widthOf(factor) + 3, 1);
  const lines = inLines(last.terms, columns, start);
  return lines.map((terms, i) => ({
    terms,
    ...(i === 0 && { opens }),
    ...(i === lines.length - 1 && { closes: true }),
  }));
}

/** About how wide a line is. */
export function lineWidth({ terms, opens = [] }: Line): number {
  const parts = [...opens, ...terms.map(({ of }) => of)];
  return parts.reduce((width, part) => width + widthOf(part), 3 * (parts.length - 1));
}

function inLines(terms: readonly SignedTerm[], columns: number, start: number): SignedTerm[][] {
  const lines: SignedTerm[][] = [[]];
  let used = start;
  for (const term of terms) {
    const width = widthOf(term.of) + 3;
    if (lines.at(-1)!.length > 0 && used + width > columns) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1)!.push(term);
    used += width;
  }
  return lines;
}
