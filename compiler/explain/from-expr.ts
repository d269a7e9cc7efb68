/** The graph as notation: normal forms read again as sums, quotients and roots. */

import type { Expr, Factor, Fraction, Node } from '../graph/expr.ts';
import { inputName } from '../graph/print.ts';
import { exactFraction, toDouble } from '../spec/numeral.ts';
import {
  type Notation,
  nameNotation,
  numberNotation,
  powerOf,
  quotientOf,
  type SignedTerm,
  sumOf,
} from './notation.ts';

/** Puts axes into the order the entry has them in. */
export type InOrder = (axes: readonly string[]) => readonly string[];

/** A converter that gives the same notation for the same node, so that what is shared stays recognisable. */
export function exprNotation(
  inOrder: InOrder,
  nameOf: (e: Expr) => string | undefined = () => undefined,
): (e: Expr) => Notation {
  const memo = new Map<Expr, SignedTerm>();

  const plain = (e: Expr): Notation => sumOf([signed(e)]);

  function signed(e: Expr): SignedTerm {
    const known = memo.get(e);
    if (known) return known;
    const name = nameOf(e);
    const result = name === undefined ? convert(e) : { minus: false, of: nameNotation(name) };
    memo.set(e, result);
    return result;
  }

  function convert(e: Expr): SignedTerm {
    const of = (notation: Notation): SignedTerm => ({ minus: false, of: notation });
    switch (e.op) {
      case 'number':
        return { minus: e.value.s < 0n, of: rational(e.value.abs()) };
      case 'constant':
      case 'parameter':
        return of(nameNotation(e.name));
      case 'truth':
        return of(nameNotation(String(e.value)));
      case 'input':
        return of(nameNotation(inputName(e)));
      case 'size':
        return of({ is: 'count', axes: [e.axis] });
      case 'add':
        return of(sumOf(termsOf(e)));
      case 'mul':
        return scaled(e.coefficient, e.factors);
      case 'call':
        if (e.fn === 'pow') return of({ is: 'power', base: plain(e.args[0]!), exponent: plain(e.args[1]!) });
        return of({ is: 'call', fn: e.fn, args: e.args.map(plain) });
      case 'compare':
        return of({ is: 'relation', operator: e.fn, a: plain(e.a), b: plain(e.b) });
      case 'and':
      case 'or':
        return of({ is: 'relation', operator: e.op, a: plain(e.a), b: plain(e.b) });
      case 'not':
        return of({ is: 'not', of: plain(e.x) });
      case 'select':
        return of({ is: 'choice', test: plain(e.test), then: plain(e.then), else: plain(e.else) });
      case 'others': {
        const axes = inOrder(e.among).map(nameNotation);
        return of({ is: 'call', fn: 'others', args: [...[e.x, ...e.along].map(plain), ...axes] });
      }
      case 'stop':
        return of({ is: 'call', fn: 'stop_gradient', args: [plain(e.x)] });
      default:
        return of({ is: 'reduce', fn: e.op, of: plain(e.x), over: inOrder(e.over) });
    }
  }

  /** Positive terms first; among equals, what varies more first, as in x − mean. */
  function termsOf(e: Node<'add'>): SignedTerm[] {
    const sorted = [...e.terms].sort(([a, x], [b, y]) => Number(b.s - a.s) || y.axes.length - x.axes.length);
    const terms = sorted.map(([c, term]): SignedTerm => {
      if (term.op === 'mul' && nameOf(term) === undefined)
        return scaled(c.mul(term.coefficient), term.factors);
      const { minus, of } = signed(term);
      const shown = c.abs().equals(1) ? of : quotientOf(...split(c.abs(), [of]));
      return { minus: minus !== c.s < 0n, of: shown };
    });
    if (e.constant.n === 0n) return terms;
    const constant = { minus: e.constant.s < 0n, of: rational(e.constant.abs()) };
    const leads = terms[0]?.minus && !constant.minus;
    return leads ? [constant, ...terms] : [...terms, constant];
  }

  function scaled(coefficient: Fraction, factors: readonly Factor[]): SignedTerm {
    const above: Notation[] = [];
    const below: Notation[] = [];
    const counted = { above: [] as string[], below: [] as string[] };
    for (const [f, p] of factors) {
      const side = p.s < 0n ? 'below' : 'above';
      if (f.op === 'size' && p.abs().equals(1)) counted[side].push(f.axis);
      else (side === 'below' ? below : above).push(powerOf(plain(f), p.abs().toFraction()));
    }
    if (counted.above.length > 0) above.unshift({ is: 'count', axes: inOrder(counted.above) });
    if (counted.below.length > 0) below.unshift({ is: 'count', axes: inOrder(counted.below) });
    const [top, bottom] = split(coefficient.abs(), above, below);
    return { minus: coefficient.s < 0n, of: quotientOf(top, bottom) };
  }

  return plain;
}

/** A coefficient put among factors: whole parts above, denominators below. */
function split(
  c: Fraction,
  above: readonly Notation[],
  below: readonly Notation[] = [],
): [Notation[], Notation[]] {
  if (isWritten(c)) return [[...(c.equals(1) ? [] : [rational(c)]), ...above], [...below]];
  const top = c.n === 1n ? [] : [numberNotation(String(c.n))];
  return [
    [...top, ...above],
    [numberNotation(String(c.d)), ...below],
  ];
}

/** Whole, or a decimal that reads better than its fraction: 0.1, but 1 / 2 and 2 / 3. */
function isWritten(c: Fraction): boolean {
  if (c.d === 1n) return true;
  const near = toDouble(c);
  return ![2n, 4n, 8n].includes(c.d) && Number.isFinite(near) && exactFraction(String(near)).equals(c);
}

/** A number that is not negative. */
export function rational(value: Fraction): Notation {
  if (isWritten(value)) return numberNotation(value.d === 1n ? String(value.n) : String(toDouble(value)));
  return {
    is: 'fraction',
    above: numberNotation(String(value.n)),
    below: numberNotation(String(value.d)),
  };
}
