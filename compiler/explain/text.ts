/** Notation as one line in the spec's own language: what is printed can be written into a spec again. */
import { argumentsOf, isShort, type Notation } from './notation.ts';

/** Binding strength, weakest first. */
const strength = { choice: 0, or: 1, and: 2, not: 3, relation: 4, sum: 5, product: 6, power: 8, word: 9 };

/** A formula in the spec's language. */
export function textOf(n: Notation): string {
  switch (n.is) {
    case 'name':
    case 'number':
      return n.text;
    case 'count':
      return `count(${n.axes.join(', ')})`;
    case 'sum':
      return n.terms
        .map(({ minus, of }, i) => {
          const term = within(of, strength.product);
          return i === 0 ? (minus ? `-${term}` : term) : ` ${minus ? '-' : '+'} ${term}`;
        })
        .join('');
    case 'product':
      return n.factors.map((f, i) => within(f, strength.product + Math.min(i, 1))).join(' * ');
    case 'fraction':
      return `${within(n.above, strength.product)} / ${within(n.below, strength.product + 1)}`;
    case 'power':
      return `${within(n.base, strength.power + 1)} ^ ${isShort(n.exponent) ? textOf(n.exponent) : `(${textOf(n.exponent)})`}`;
    case 'root':
      return `sqrt(${textOf(n.of)})`;
    case 'call': {
      const { plain, named } = argumentsOf(n);
      const keywords = named.map(([keyword, value]) => `${keyword}: ${textOf(value)}`).join(', ');
      return `${n.fn}(${[...plain.map(textOf), ...(keywords ? [`{${keywords}}`] : [])].join(', ')})`;
    }
    case 'reduce':
      return `${n.fn}(${[textOf(n.of), ...n.over].join(', ')})`;
    case 'relation': {
      const own = bindingOf(n);
      return `${within(n.a, own + 1)} ${n.operator} ${within(n.b, own + 1)}`;
    }
    case 'not':
      // mathjs's `not` takes the nearest value
      return `not ${within(n.of, strength.word)}`;
    case 'choice':
      return `${within(n.test, strength.or)} ? ${within(n.then, strength.or)} : ${within(n.else, strength.or)}`;
  }
}

const within = (n: Notation, least: number): string => (bindingOf(n) < least ? `(${textOf(n)})` : textOf(n));

/** How tightly a notation holds together when it is written in a line. */
function bindingOf(n: Notation): number {
  switch (n.is) {
    case 'choice':
    case 'not':
    case 'sum':
    case 'product':
    case 'power':
      return strength[n.is];
    case 'fraction':
      return strength.product;
    case 'relation':
      return n.operator === 'and' || n.operator === 'or' ? strength[n.operator] : strength.relation;
    case 'number':
      return n.text.startsWith('-') ? strength.sum : strength.word;
    default:
      return strength.word;
  }
}

/** Breaks a long formula before operators, the outermost ones first; lines after the first are indented. */
export function breakFormula(text: string, columns: number, indent: string): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > columns - (lines.length > 0 ? indent.length : 0)) {
    const at = bestBreak(rest, columns - (lines.length > 0 ? indent.length : 0));
    if (at <= 0) break;
    lines.push(rest.slice(0, at).trimEnd());
    rest = rest.slice(at).trimStart();
  }
  lines.push(rest);
  return lines.map((line, i) => (i === 0 ? line : indent + line));
}

/** The place before an operator or after a comma, as shallow as possible, then as late as possible. */
function bestBreak(text: string, columns: number): number {
  let depth = 0;
  let best = -1;
  let bestDepth = Number.POSITIVE_INFINITY;
  for (let i = 0; i < Math.min(text.length, columns); i++) {
    const character = text[i]!;
    if (character === '(') depth++;
    if (character === ')') depth--;
    const isOperator = character === ' ' && /^ (?:[-+*/?:]|and|or) /.test(text.slice(i, i + 5));
    const isComma = character === ' ' && text[i - 1] === ',';
    if (!isOperator && !isComma) continue;
    if (i < columns / 3 || depth > bestDepth) continue;
    best = i;
    bestDepth = depth;
  }
  return best;
}
