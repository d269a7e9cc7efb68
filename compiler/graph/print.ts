/** The one printer of graphs: infix formulas, and programs of one line a shared value. */
import { exactFraction, toDouble } from '../spec/numeral.ts';
import { children, type Expr, Fraction, isOne, isReduction, topological } from './expr.ts';
import { outputOf } from './handles.ts';

/** Binding strength, weakest first; what binds weaker than its surroundings is put in parentheses. */
const strength = { select: 0, or: 1, and: 2, not: 3, compare: 4, add: 5, mul: 6, power: 8, word: 9 };

interface Text {
  readonly text: string;
  readonly binds: number;
}

const word = (text: string): Text => ({ text, binds: strength.word });
const within = ({ text, binds }: Text, least: number): string => (binds < least ? `(${text})` : text);

/** What a tensor is called: after what it belongs to, and what it is to it. */
const names: { readonly [role: string]: (of: string) => string } = {
  cotangent: (of) => `grad_${of}`,
  gradient: (of) => `d${of}`,
  tangent: (of) => `${of}_t`,
  output_tangent: (of) => `${of}_t`,
  cotangent2: (of) => `v_${of}`,
  second: (of) => `second_${of}`,
  second_cotangent: (of) => `second_grad_${of}`,
};

export const tensorName = (role: string, of: string): string => names[role]?.(of) ?? of;

/** The names that inputs go by, before any renaming for a target language. */
export function inputName({ role, of }: Extract<Expr, { op: 'input' }>): string {
  // an output that is read back goes by its role and name
  const output = outputOf({ role, of }) ?? { role, of };
  return tensorName(output.role, output.of);
}

/** A formula in the spec's own notation; `named` gives the nodes that are to be referred to by name. */
export function formula(e: Expr, named?: (e: Expr) => string | undefined): string {
  if (!named) return printWhole(e).text;
  const print = (node: Expr): Text => {
    const name = named(node);
    return name === undefined ? printBody(node, print) : word(name);
  };
  return printBody(e, print).text;
}

const known = new WeakMap<Expr, Text>();

/** What a node is written as where nothing has a name. */
function printWhole(e: Expr): Text {
  const text = known.get(e) ?? printBody(e, printWhole);
  known.set(e, text);
  return text;
}

function printBody(e: Expr, print: (e: Expr) => Text): Text {
  switch (e.op) {
    case 'number':
      return fraction(e.value);
    case 'constant':
      return word(e.name);
    case 'truth':
      return word(String(e.value));
    case 'input':
      return word(inputName(e));
    case 'parameter':
      return word(e.name);
    case 'size':
      return word(`count(${e.axis})`);
    case 'add':
      return printAdd(e, print);
    case 'mul':
      return printMul(e, print);
    case 'call':
      return word(`${e.fn}(${e.args.map((a) => print(a).text).join(', ')})`);
    case 'compare':
      return infix(e.fn, strength.compare, print(e.a), print(e.b));
    case 'and':
    case 'or':
      return infix(e.op, strength[e.op], print(e.a), print(e.b));
    case 'not':
      return { text: `not ${within(print(e.x), strength.not + 1)}`, binds: strength.not };
    case 'select': {
      const [test, then, otherwise] = [e.test, e.then, e.else].map((part) =>
        within(print(part), strength.or),
      );
      return { text: `${test} ? ${then} : ${otherwise}`, binds: strength.select };
    }
    case 'stop':
      return word(`stop_gradient(${print(e.x).text})`);
    case 'others':
      return word(`others(${[...children(e).map((part) => print(part).text), ...e.among].join(', ')})`);
    default:
      return word(`${e.op}(${[print(e.x).text, ...e.over].join(', ')})`);
  }
}

const infix = (operator: string, binds: number, a: Text, b: Text): Text => ({
  text: `${within(a, binds + 1)} ${operator} ${within(b, binds + 1)}`,
  binds,
});

function fraction(value: Fraction): Text {
  const text = decimal(value);
  if (text !== undefined) return value.s < 0n ? { text, binds: strength.add } : word(text);
  return { text: value.toFraction().replace('/', ' / '), binds: value.s < 0n ? strength.add : strength.mul };
}

/** The shortest decimal text of a fraction whose decimals end and that a double holds, else undefined. */
function decimal(value: Fraction): string | undefined {
  const near = toDouble(value);
  if (value.d === 1n && Number.isSafeInteger(near)) return String(near);
  return Number.isFinite(near) && exactFraction(String(near)).equals(value) ? String(near) : undefined;
}

function printAdd(e: Extract<Expr, { op: 'add' }>, print: (e: Expr) => Text): Text {
  // a positive term first reads better than a leading minus
  const terms = [...e.terms].sort(([a], [b]) => Number(b.s - a.s));
  const parts = terms.map(([c, term]) => ({ minus: c.s < 0n, text: printTerm(c.abs(), print(term)) }));
  if (e.constant.n !== 0n) {
    const constant = { minus: e.constant.s < 0n, text: within(fraction(e.constant.abs()), strength.mul) };
    if (parts[0]?.minus && !constant.minus) parts.unshift(constant);
    else parts.push(constant);
  }
  const text = parts.map(({ minus, text }, i) =>
    i === 0 ? (minus ? `-${text}` : text) : ` ${minus ? '-' : '+'} ${text}`,
  );
  return { text: text.join(''), binds: strength.add };
}

const printTerm = (c: Fraction, term: Text): string =>
  isOne(c)
    ? within(term, strength.mul)
    : `${within(fraction(c), strength.mul)} * ${within(term, strength.mul + 1)}`;

function printMul(e: Extract<Expr, { op: 'mul' }>, print: (e: Expr) => Text): Text {
  const above: string[] = [];
  const below: string[] = [];
  const { coefficient } = e;
  if (coefficient.n !== 1n || decimal(coefficient) !== undefined) {
    const over = decimal(coefficient) === undefined ? new Fraction(coefficient.n) : coefficient.abs();
    if (!isOne(over)) above.push(fraction(over).text);
  }
  if (decimal(coefficient) === undefined) below.push(String(coefficient.d));
  for (const [f, p] of e.factors) {
    (p.s < 0n ? below : above).push(printPower(print(f), p.abs()));
  }
  const top = above.length === 0 ? '1' : above.join(' * ');
  const bottom = below.length > 1 ? `(${below.join(' * ')})` : below[0];
  const text = `${coefficient.s < 0n ? '-' : ''}${top}${bottom ? ` / ${bottom}` : ''}`;
  return { text, binds: coefficient.s < 0n ? strength.add : strength.mul };
}

function printPower(base: Text, p: Fraction): string {
  if (isOne(p)) return within(base, strength.mul + 1);
  if (p.equals(new Fraction(1, 2))) return `sqrt(${base.text})`;
  const exponent = p.d === 1n ? String(p.n) : `(${p.toFraction()})`;
  return `${within(base, strength.power + 1)} ^ ${exponent}`;
}

/** A program, one line a value that is reduced or used twice: `%3:[c] = sum(%2, n, s)`. */
export function printProgram(outputs: readonly { readonly name: string; readonly expr: Expr }[]): string {
  const uses = new Map<Expr, number>();
  const order = topological(outputs.map(({ expr }) => expr));
  for (const node of order) for (const child of children(node)) uses.set(child, (uses.get(child) ?? 0) + 1);
  const names = new Map<Expr, string>();
  const lines: string[] = [];
  for (const node of order) {
    const shared = (uses.get(node) ?? 0) > 1 && children(node).length > 0;
    if (!shared && !isReduction(node)) continue;
    const text = formula(node, (e) => names.get(e));
    names.set(node, `%${names.size + 1}`);
    lines.push(`${names.get(node)}:[${node.axes.join(', ')}] = ${text}`);
  }
  for (const { name, expr } of outputs) {
    lines.push(
      `${name}:[${expr.axes.join(', ')}] = ${names.get(expr) ?? formula(expr, (e) => names.get(e))}`,
    );
  }
  return lines.join('\n');
}
