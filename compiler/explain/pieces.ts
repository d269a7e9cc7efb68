/** Long formulas as pieces between which a line may end: at operators, those of an inner formula only where it is long itself. */
import {
  argumentsOf,
  isBig,
  isMasked,
  isWeakBelow,
  isWeakFactor,
  isWeakTerm,
  type Kind,
  type Notation,
  productOf,
  quotientOf,
} from './notation.ts';
import { widthOf } from './width.ts';

/** What a piece consists of. Parentheses that are bits may close in another piece, so they cannot grow by themselves. */
export type Bit =
  | { readonly is: 'whole'; readonly of: Notation; readonly inParens: boolean }
  | { readonly is: 'sign'; readonly minus: boolean; readonly isFirst: boolean }
  | { readonly is: 'times' | 'comma' }
  | { readonly is: 'open' | 'close'; readonly isTall: boolean }
  | { readonly is: 'mask'; readonly test: Notation }
  | { readonly is: 'function'; readonly name: string }
  | { readonly is: 'keyword'; readonly name: string }
  | { readonly is: 'over'; readonly fn: Kind<'reduce'>['fn']; readonly over: readonly string[] };

/** What stays in one line. */
export interface Piece {
  readonly bits: readonly Bit[];
}

/** A piece, or several in a row: those of an inner formula are better kept in one line too, where there is room. */
export type Pieces = Piece | { readonly parts: readonly Pieces[] };

/** Cuts whatever is wider than so many characters, where it has operators to be cut at. */
export function piecesOf(n: Notation, columns: number): Pieces {
  if (widthOf(n) <= columns) return whole(n, false);
  switch (n.is) {
    case 'sum':
      return sumPieces(n, columns);
    case 'product':
      return productPieces(n, columns);
    case 'fraction': {
      const product = withoutBar(n, columns);
      return product === n ? whole(n, false) : piecesOf(product, columns);
    }
    case 'reduce': {
      const isWeak = (of: Notation): boolean => !isBig(n.fn) || isWeakBelow(of);
      return before([{ is: 'over', fn: n.fn, over: n.over }], enclosed(n.of, isWeak, columns));
    }
    case 'choice': {
      if (!isMasked(n) || widthOf(n.then) < columns / 2) return whole(n, false);
      const then = enclosed(n.then, (of) => isWeakFactor(of, true), columns);
      const mask: Piece = { bits: [{ is: 'mask', test: n.test }] };
      return areClose(mask, then, columns)
        ? before(mask.bits, then)
        : inRow([mask, before([{ is: 'times' }], then)]);
    }
    case 'call':
      return n.fn === 'abs' ? whole(n, false) : callPieces(n, columns);
    default:
      return whole(n, false);
  }
}

/** About how many characters wide it is in one line. */
export const piecesWidth = (pieces: Pieces): number =>
  'parts' in pieces
    ? pieces.parts.reduce((width, part) => width + piecesWidth(part), 0)
    : pieces.bits.reduce((width, bit) => width + bitWidth(bit), 0);

function bitWidth(bit: Bit): number {
  switch (bit.is) {
    case 'whole':
      return widthOf(bit.of) + (bit.inParens ? 2 : 0);
    case 'sign':
    case 'times':
      return 3;
    case 'mask':
      return widthOf(bit.test) + 2;
    case 'function':
    case 'keyword':
      return bit.name.length + 1;
    case 'over':
      return isBig(bit.fn) ? 3 : bit.fn.length;
    default:
      return 1;
  }
}

const whole = (of: Notation, inParens: boolean): Pieces => ({ bits: [{ is: 'whole', of, inParens }] });

function sumPieces({ terms }: Kind<'sum'>, columns: number): Pieces {
  const parts = terms.map(({ minus, of }, i) => {
    const term = enclosed(of, (n) => isWeakTerm(n, i === terms.length - 1), columns);
    return i === 0 && !minus ? term : before([{ is: 'sign', minus, isFirst: i === 0 }], term);
  });
  return inRow(parts);
}

/** Short factors stay together, and with the beginning of a long one after them. */
function productPieces({ factors }: Kind<'product'>, columns: number): Pieces {
  const parts: Pieces[] = [];
  for (const [i, factor] of factors.entries()) {
    const isWeak = (n: Notation): boolean => isWeakFactor(n, i === factors.length - 1);
    const bare = enclosed(factor, isWeak, columns);
    const next = i === 0 ? bare : before([{ is: 'times' }], bare);
    const last = parts.at(-1);
    if (last && 'bits' in last && areClose(last, next, columns))
      parts[parts.length - 1] = before(last.bits, next);
    else parts.push(next);
  }
  return inRow(parts);
}

function callPieces(call: Kind<'call'>, columns: number): Pieces {
  const { plain, named } = argumentsOf(call);
  const args = [
    ...plain.map((value) => piecesOf(value, columns)),
    ...named.map(([name, value]) =>
      before(
        [{ is: 'keyword', name }],
        enclosed(value, ({ is }) => is === 'relation' || is === 'choice', columns),
      ),
    ),
  ];
  const parts = args.map((arg, i) => (i < args.length - 1 ? after(arg, [{ is: 'comma' }]) : arg));
  return before([{ is: 'function', name: call.fn }], inParens({ parts }, false));
}

/** In parentheses where it needs them. */
function enclosed(n: Notation, isWeak: (n: Notation) => boolean, columns: number): Pieces {
  const shown = withoutBar(n, columns);
  if (widthOf(shown) <= columns) return whole(shown, isWeak(shown));
  const pieces = piecesOf(shown, columns);
  if (!isWeak(shown)) return pieces;
  return 'bits' in pieces ? whole(shown, true) : inParens(pieces, isTall(shown));
}

const inParens = (pieces: Pieces, isTall: boolean): Pieces =>
  after(before([{ is: 'open', isTall }], pieces), [{ is: 'close', isTall }]);

/** No line ends within a fraction: one that is too wide is its number over what is below, times the rest of what is above. */
function withoutBar(n: Notation, columns: number): Notation {
  if (n.is !== 'fraction' || widthOf(n) <= columns || widthOf(n.below) >= columns) return n;
  const above = n.above.is === 'product' ? n.above.factors : [n.above];
  const [first] = above;
  const isNumber = first?.is === 'number' && above.length > 1;
  const factor = quotientOf(isNumber ? [first] : [], [n.below]);
  return productOf([factor, ...(isNumber ? above.slice(1) : above)]);
}

/** Whether parentheses around it look small unless they grow. */
function isTall(n: Notation): boolean {
  if (n.is === 'sum') return n.terms.some(({ of }) => isTall(of));
  if (n.is === 'product') return n.factors.some(isTall);
  return n.is === 'fraction' || (n.is === 'reduce' && isBig(n.fn)) || (n.is === 'choice' && isTall(n.then));
}

const inRow = (parts: readonly Pieces[]): Pieces => (parts.length === 1 ? parts[0]! : { parts });

/** Whether one piece holds a factor and what the next one begins with: rather a bit too much than a factor alone. */
const areClose = (factor: Piece, next: Pieces, columns: number): boolean =>
  piecesWidth(factor) + piecesWidth(firstOf(next)) <= 1.25 * columns;

const firstOf = (pieces: Pieces): Pieces => ('parts' in pieces ? firstOf(pieces.parts[0]!) : pieces);

const before = (bits: readonly Bit[], pieces: Pieces): Pieces =>
  'bits' in pieces
    ? { bits: [...bits, ...pieces.bits] }
    : { parts: pieces.parts.map((part, i) => (i === 0 ? before(bits, part) : part)) };

const after = (pieces: Pieces, bits: readonly Bit[]): Pieces =>
  'bits' in pieces
    ? { bits: [...pieces.bits, ...bits] }
    : { parts: pieces.parts.map((part, i) => (i === pieces.parts.length - 1 ? after(part, bits) : part)) };
