/** The arithmetic that kernels execute as notation: factors taken out, terms collected by what varies. */
import { Fraction, isReduction } from '../graph/expr.ts';
import type { Scalars } from '../kernel/scalar.ts';
import type { Scalar } from '../kernel/scalar-build.ts';
import { exprNotation, type InOrder, rational } from './from-expr.ts';
import { type Notation, powerOf, quotientOf, type SignedTerm, sumOf } from './notation.ts';

interface Quotient {
  readonly minus: boolean;
  readonly above: readonly Notation[];
  readonly below: readonly Notation[];
}

/** A converter that gives the same notation for the same scalar. */
export function scalarNotation(scalars: Scalars, inOrder: InOrder): (s: Scalar) => Notation {
  const memo = new Map<Scalar, SignedTerm>();
  const leaf = exprNotation(inOrder);

  const plain = (s: Scalar): Notation => sumOf([signed(s)]);

  function signed(s: Scalar): SignedTerm {
    const known = memo.get(s);
    if (known) return known;
    const result = convert(s);
    memo.set(s, result);
    return result;
  }

  function convert(s: Scalar): SignedTerm {
    const of = (notation: Notation): SignedTerm => ({ minus: false, of: notation });
    switch (s.is) {
      case 'number':
        return { minus: s.value < 0, of: numeral(Math.abs(s.value)) };
      case 'truth':
        return of({ is: 'name', text: String(s.value) });
      case 'leaf': {
        if (!isReduction(s.expr)) return of(leaf(s.expr));
        const { op, x, over } = s.expr;
        return of({ is: 'reduce', fn: op, of: plain(scalars.of(x)), over: inOrder(over) });
      }
      case '+':
      case '-':
        return of(sumOf(terms(s)));
      case '*':
      case '/': {
        const { minus, above, below } = quotient(s);
        return { minus, of: quotientOf(collect(above, inOrder), collect(below, inOrder)) };
      }
      case 'negate': {
        const { minus, of: inner } = signed(s.x);
        return { minus: !minus, of: inner };
      }
      case 'sqrt':
        return of({ is: 'root', of: plain(s.x) });
      case 'rsqrt':
        return of({
          is: 'fraction',
          above: { is: 'number', text: '1' },
          below: { is: 'root', of: plain(s.x) },
        });
      case 'and':
      case 'or':
        return of({ is: 'relation', operator: s.is, a: plain(s.a), b: plain(s.b) });
      case 'not':
        return of({ is: 'not', of: plain(s.x) });
      case 'compare':
        return of({ is: 'relation', operator: s.fn, a: plain(s.a), b: plain(s.b) });
      case 'select':
        return of({ is: 'choice', test: plain(s.test), then: plain(s.then), else: plain(s.else) });
      case 'call':
        if (s.fn === 'pow') return of({ is: 'power', base: plain(s.args[0]!), exponent: plain(s.args[1]!) });
        return of({ is: 'call', fn: s.fn, args: s.args.map(plain) });
    }
  }

  /** A chain of additions; one that is itself added or subtracted stays in parentheses. */
  function terms(s: Scalar & { a: Scalar; b: Scalar }): SignedTerm[] {
    const left = s.a.is === '+' || s.a.is === '-' ? terms(s.a) : [signed(s.a)];
    const right = signed(s.b);
    return [...left, { minus: right.minus !== (s.is === '-'), of: right.of }];
  }

  /** A chain of factors and divisors as one quotient; a factor that is a unit is left out. */
  function quotient(s: Scalar): Quotient {
    if (s.is === '*' || s.is === '/') {
      const [a, b] = [quotient(s.a), quotient(s.b)];
      const [over, under] = s.is === '*' ? [b.above, b.below] : [b.below, b.above];
      const minus = a.minus !== b.minus;
      return { minus, above: [...a.above, ...over], below: [...a.below, ...under] };
    }
    const { minus, of } = signed(s);
    if (of.is === 'number' && of.text === '1') return { minus, above: [], below: [] };
    if (of.is === 'fraction') {
      const isOne = of.above.is === 'number' && of.above.text === '1';
      return { minus, above: isOne ? [] : [of.above], below: [of.below] };
    }
    return { minus, above: [of], below: [] };
  }

  return plain;
}

/** Equal factors as powers, where they first stand, and sizes as one count. */
function collect(factors: readonly Notation[], inOrder: InOrder): Notation[] {
  const counts = new Map<Notation, number>();
  for (const factor of factors) counts.set(factor, (counts.get(factor) ?? 0) + 1);
  const sizes = [...counts].flatMap(([factor, n]) => (factor.is === 'count' && n === 1 ? [factor] : []));
  const others = [...counts].filter(([factor]) => !sizes.some((size) => size === factor));
  const elements =
    sizes.length > 0 ? [{ is: 'count' as const, axes: inOrder(sizes.flatMap(({ axes }) => axes)) }] : [];
  return [...elements, ...others.map(([factor, n]) => powerOf(factor, String(n)))];
}

/** A number of a kernel: thirds and the like as fractions again. */
function numeral(value: number): Notation {
  if (value === Math.PI) return { is: 'name', text: 'pi' };
  if (value === Math.E) return { is: 'name', text: 'e' };
  for (let d = 1; d <= 64 && Number.isFinite(value); d++) {
    const n = Math.round(value * d);
    if (n > 0 && Math.abs(value * d - n) < 1e-13 * n) return rational(new Fraction(BigInt(n), BigInt(d)));
  }
  return { is: 'number', text: String(value) };
}
