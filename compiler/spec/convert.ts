/** Converts mathjs's tree, whose leaves say which tokens they are, into one with positions. */
import type { MathNode } from 'mathjs/lib/browser/math.js';
import { invariant, type Span } from '../diagnostics.ts';
import { quoted, type Report } from './codes.ts';
import { isWithinBounds } from './numeral.ts';
import type { Passage } from './passage.ts';
import type { Comparison } from './spec.ts';
import type { Keyword, Signed, Syntax } from './syntax.ts';
import type { Token } from './tokens.ts';
import { allowedOperators } from './words.ts';

export interface Context {
  readonly tokens: readonly Token[];
  readonly passage: Passage;
  readonly report: Report;
}

/** A tree and its first and last token, the parentheses around it included. */
export interface Found {
  readonly syntax: Syntax;
  readonly first: number;
  readonly last: number;
}

const spanOf = ({ tokens, passage }: Context, first: number, last: number): Span =>
  passage.span(tokens[first]!.start, tokens[last]!.end);

const comparisons: readonly string[] = ['<', '<=', '>', '>=', '==', '!='];
const binaries = { '*': 'multiply', '/': 'divide', '^': 'power', and: 'and', or: 'or' } as const;

/** The converted tree; undefined only where the reported mistake leaves nothing to go on with. */
export function convert(node: MathNode, context: Context): Found | undefined {
  const { tokens } = context;
  switch (node.type) {
    case 'SymbolNode': {
      const i = Number(node.name.slice(1));
      invariant(tokens[i]?.kind === 'name', `${node.name} got past the tokenizer as a name`);
      return leaf(i, { kind: 'name', name: tokens[i].text, span: spanOf(context, i, i) });
    }
    case 'ConstantNode': {
      if (typeof node.value !== 'number') return undefined;
      const { text } = tokens[node.value]!;
      const span = spanOf(context, node.value, node.value);
      if (!isWithinBounds(text)) {
        context.report('syntax', span, `the exponent of ${quoted(text)} is in no format of numbers`);
        return undefined;
      }
      return leaf(node.value, { kind: 'number', text, span });
    }
    case 'ParenthesisNode': {
      const inner = convert(node.content, context);
      return inner && { syntax: inner.syntax, first: inner.first - 1, last: inner.last + 1 };
    }
    case 'OperatorNode':
      return convertOperator(node, context);
    case 'RelationalNode':
      return convertRelational(node.params, context);
    case 'ConditionalNode': {
      const test = convert(node.condition, context);
      const then = convert(node.trueExpr, context);
      const otherwise = convert(node.falseExpr, context);
      if (!test || !then || !otherwise) return undefined;
      const [first, last] = [test.first, otherwise.last];
      const parts = { test: test.syntax, then: then.syntax, else: otherwise.syntax };
      return { syntax: { kind: 'select', ...parts, span: spanOf(context, first, last) }, first, last };
    }
    case 'FunctionNode':
      return convertCall(node.fn, node.args, context);
    case 'ObjectNode':
      return convertKeywords(node.properties, context);
    case 'RangeNode':
    case 'ArrayNode':
    case 'AccessorNode':
    case 'IndexNode':
    case 'AssignmentNode':
    case 'FunctionAssignmentNode':
    case 'BlockNode': {
      const colon = tokens.findIndex((token) => token.text === ':');
      const span = colon < 0 ? context.passage.whole : spanOf(context, colon, colon);
      context.report(
        'unsupported',
        span,
        "formulas have no ranges: this ':' belongs to no '?'",
        `they have ${allowedOperators}`,
      );
      return undefined;
    }
  }
}

const leaf = (token: number, syntax: Syntax): Found => ({ syntax, first: token, last: token });

type OperatorNode = MathNode & { readonly type: 'OperatorNode' };

const isSum = (node: MathNode): node is OperatorNode & { readonly args: readonly [MathNode, MathNode] } =>
  node.type === 'OperatorNode' && node.args.length === 2 && (node.op === '+' || node.op === '-');

function convertOperator(node: OperatorNode, context: Context): Found | undefined {
  const { op, args } = node;
  if (args.length === 1) return convertPrefix(op, args[0], context);
  if (isSum(node)) return convertSum(node, context);
  if (node.implicit) return refuseImplicit(node, context);
  const a = convert(args[0], context);
  const b = convert(args[1], context);
  if (!a || !b) return undefined;
  const [first, last] = [a.first, b.last];
  const span = spanOf(context, first, last);
  const operands = { a: a.syntax, b: b.syntax, span };
  if (op in binaries)
    return { syntax: { kind: binaries[op as keyof typeof binaries], ...operands }, first, last };
  invariant(comparisons.includes(op), `the operator ${op} got past the tokenizer`);
  return { syntax: { kind: 'compare', operator: op as Comparison, ...operands }, first, last };
}

function convertPrefix(op: string, operand: MathNode, context: Context): Found | undefined {
  const of = convert(operand, context);
  if (!of) return undefined;
  const [first, last] = [of.first - 1, of.last];
  if (op === '+') return { syntax: of.syntax, first, last };
  invariant(op === '-' || op === 'not', `the prefix ${op} got past the tokenizer`);
  return {
    syntax: { kind: op === '-' ? 'negate' : 'not', of: of.syntax, span: spanOf(context, first, last) },
    first,
    last,
  };
}

/** One unbroken chain of + and -, which mathjs nests to the left: a loop, for a chain may be long. */
function convertSum(chain: MathNode, context: Context): Found | undefined {
  const parts: { negative: boolean; node: MathNode }[] = [];
  let node = chain;
  while (isSum(node)) {
    parts.push({ negative: node.op === '-', node: node.args[1] });
    node = node.args[0];
  }
  parts.push({ negative: false, node });
  const found = parts.reverse().map(({ negative, node }) => ({ negative, of: convert(node, context) }));
  const first = found[0]?.of?.first;
  const last = found.at(-1)?.of?.last;
  const terms = found.flatMap(({ negative, of }) => (of ? [signed(negative, of.syntax)] : []));
  if (first === undefined || last === undefined || terms.length < found.length) return undefined;
  return { syntax: { kind: 'sum', terms, span: spanOf(context, first, last) }, first, last };
}

/** -a as a term is a term taken away. */
const signed = (negative: boolean, of: Syntax): Signed =>
  of.kind === 'negate' ? signed(!negative, of.of) : { negative, of };

function convertRelational(params: readonly MathNode[], context: Context): Found | undefined {
  const found = params.map((node) => convert(node, context));
  const [a, b] = found;
  const end = found.at(-1);
  if (!a || !b || !end) return undefined;
  const { tokens, passage } = context;
  const text = (f: Found): string => passage.text.slice(tokens[f.first]!.start, tokens[f.last]!.end);
  const sign = (f: Found): string => tokens[f.last + 1]!.text;
  const whole = spanOf(context, a.first, end.last);
  const c = found[2];
  const hint = c && `write '${text(a)} ${sign(a)} ${text(b)} and ${text(b)} ${sign(b)} ${text(c)}'`;
  context.report('chained-comparison', whole, 'a comparison compares two values', hint);
  return undefined;
}

function refuseImplicit(chain: OperatorNode, context: Context): undefined {
  const { tokens, passage, report } = context;
  const nodes: MathNode[] = [];
  let node: MathNode | undefined = chain;
  while (node?.type === 'OperatorNode' && node.implicit) {
    nodes.unshift(...node.args.slice(1));
    node = node.args[0];
  }
  const found = [node ?? chain, ...nodes].flatMap((operand) => convert(operand, context) ?? []);
  const [first] = found;
  const last = found.at(-1);
  if (!first || !last || found.length <= nodes.length) return undefined;
  const text = (f: Found): string =>
    passage.text.slice(tokens[f.first]!.start, tokens[f.last]!.end).replace(/\s+/g, ' ');
  const hint = `did you mean ${quoted(found.map(text).join(' * '))}?`;
  report(
    'implicit-multiplication',
    spanOf(context, first.first, last.last),
    "multiplication is written '*'",
    hint,
  );
  return undefined;
}

function convertCall(fn: MathNode, args: readonly MathNode[], context: Context): Found | undefined {
  const name = convert(fn, context);
  const found = args.map((arg) => convert(arg, context));
  if (!name) return undefined;
  if (name.syntax.kind !== 'name') {
    context.report(
      'syntax',
      spanOf(context, name.first, name.last),
      'only functions and entries can be called',
    );
    return undefined;
  }
  const sound = found.filter((f) => f !== undefined);
  if (sound.length < found.length) return undefined;
  const first = name.first;
  const last = (sound.at(-1)?.last ?? first + 1) + 1;
  const { name: text, span: nameSpan } = name.syntax;
  const span = spanOf(context, first, last);
  return {
    syntax: { kind: 'call', name: text, nameSpan, args: sound.map((f) => f.syntax), span },
    first,
    last,
  };
}

function convertKeywords(
  properties: Readonly<Record<string, MathNode>>,
  context: Context,
): Found | undefined {
  const { tokens } = context;
  const fields: Keyword[] = [];
  let first: number | undefined;
  let last: number | undefined;
  for (const [key, node] of Object.entries(properties)) {
    const value = convert(node, context);
    if (!value) return undefined;
    const i = Number(key.slice(1));
    first ??= i - 1;
    last = value.last + 1;
    fields.push({ name: tokens[i]!.text, nameSpan: spanOf(context, i, i), value: value.syntax });
  }
  // A comma may follow the last field; empty braces hold no token to find them by.
  first ??= tokens.findIndex(({ text }, i) => text === '{' && tokens[i + 1]?.text === '}');
  last ??= first + 1;
  if (tokens[last]?.text === ',') last += 1;
  return { syntax: { kind: 'keywords', fields, span: spanOf(context, first, last) }, first, last };
}
