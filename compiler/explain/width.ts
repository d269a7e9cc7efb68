/** How wide a formula is, for formats whose lines are broken before anything is set. */
import { isBig, type Notation, partsOf } from './notation.ts';

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
    case 'product':
      return total + 3 * (parts.length - 1);
    case 'choice':
      return total + 6;
    case 'call':
      return total + n.fn.length + 2 * parts.length;
    case 'reduce':
      return total + (isBig(n.fn) ? 3 : n.fn.length + 2);
    default:
      return total + 3;
  }
}
