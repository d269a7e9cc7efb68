/** Reads a signature: `name(Tensor x[n, c, *s], *, bool training, float eps = 1e-5) -> (Tensor y[n, c, *s])`. */
import { didYouMean, quoted, type Report } from './codes.ts';
import { numberOf } from './document.ts';
import type { Passage } from './passage.ts';
import { type Cursor, createCursor, type Identifier, SignatureError } from './signature-cursor.ts';
import type { Dimension } from './spec.ts';
import { isReservedAxis, isReservedEntry } from './words.ts';

/** Dimensions with a place for each axis. */
export interface Shape {
  readonly dimensions: readonly Dimension[];
  readonly axes: readonly Identifier[];
}

export type Parameter = { readonly id: Identifier; readonly keywordOnly: boolean } & (
  | { readonly kind: 'tensor'; readonly shape: Shape; readonly optional: boolean; readonly state: boolean }
  | { readonly kind: 'float' | 'int'; readonly default?: number }
  | { readonly kind: 'bool'; readonly default?: boolean }
);

interface Result {
  readonly id: Identifier;
  readonly shape: Shape;
}

export interface Signature {
  readonly id: Identifier;
  readonly parameters: readonly Parameter[];
  readonly returns: readonly Result[];
}

/** The parts of a signature; undefined if it does not follow the grammar, which is reported. */
export function parseSignature(passage: Passage, report: Report): Signature | undefined {
  try {
    return signature(createCursor(passage, report));
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    report('bad-signature', error.token.span, error.message, error.hint);
    return undefined;
  }
}

function signature(cursor: Cursor): Signature | undefined {
  const id = cursor.identifier('the name of the entry');
  if (isReservedEntry(id.name))
    cursor.report('reserved-name', id.span, `an entry cannot be called ${quoted(id.name)}`);
  const all = parameters(cursor);
  cursor.expect('->', "a signature ends with its returns, as in '-> Tensor y[n, c]'");
  const returns = results(cursor);
  if (cursor.peek().kind !== 'end') cursor.fail('the signature goes on after its returns');
  const named = all.filter((one) => one !== undefined);
  return named.length === all.length ? { id, parameters: named, returns } : undefined;
}

/** Undefined stands for one without a name. */
function parameters(cursor: Cursor): (Parameter | undefined)[] {
  const found: (Parameter | undefined)[] = [];
  let keywordOnly = false;
  cursor.expect('(');
  if (cursor.accept(')')) return found;
  do {
    if (!keywordOnly && cursor.accept('*')) keywordOnly = true;
    else found.push(parameter(cursor, keywordOnly));
  } while (cursor.accept(','));
  cursor.expect(')');
  return found;
}

const types = ['Tensor', 'float', 'int', 'bool'];

function parameter(cursor: Cursor, keywordOnly: boolean): Parameter | undefined {
  const type = cursor.identifier("an argument, as in 'Tensor x[n, c]' or 'float eps = 1e-5',");
  const { name } = type;
  if (name === 'Tensor') return tensor(cursor, keywordOnly);
  const isPlain = cursor.peek().kind === 'name';
  if (isPlain && (name === 'float' || name === 'int')) return scalar(cursor, name, keywordOnly);
  if (isPlain && name === 'bool') return bool(cursor, keywordOnly);
  reportType(cursor, type);
  return guess(cursor, keywordOnly);
}

function reportType({ report, peek }: Cursor, { name, span }: Identifier): void {
  if (types.includes(name)) {
    report('unknown-type', peek().span, `only tensors can be optional or have axes, not ${quoted(name)}`);
  } else {
    const hint = didYouMean(name, types) ?? "the types are 'Tensor', 'float', 'int' and 'bool'";
    report('unknown-type', span, `unknown type ${quoted(name)}`, hint);
  }
}

/** An argument of an unknown type, taken for a tensor if it has axes and for a number otherwise. */
function guess(cursor: Cursor, keywordOnly: boolean): Parameter | undefined {
  const { peek, take } = cursor;
  while (peek().kind === 'sign' && ['?', '[', ']'].includes(peek().name)) take();
  const isNamed = peek().kind === 'name';
  if (isNamed && peek(1).name === '[') return tensor(cursor, keywordOnly);
  const id = isNamed ? cursor.identifier('a name') : undefined;
  skip(cursor);
  return id && { kind: 'float', id, keywordOnly };
}

/** Past an argument that cannot be read, up to the comma or bracket that ends it. */
function skip({ peek, take }: Cursor): void {
  for (let depth = 0; peek().kind !== 'end'; take()) {
    const text = peek().name;
    if (depth === 0 && (text === ',' || text === ')')) return;
    depth += text === '(' || text === '[' ? 1 : text === ')' || text === ']' ? -1 : 0;
  }
}

function tensor(cursor: Cursor, keywordOnly: boolean): Parameter {
  const early = cursor.accept('?');
  const state = cursor.accept('(');
  if (state) {
    cursor.identifier("a letter, as in 'Tensor(a!)',");
    cursor.expect('!', "state is written 'Tensor(a!)'");
    cursor.expect(')');
  }
  const optional = (state && cursor.accept('?')) || early;
  const id = cursor.identifier('the name of a tensor');
  const parts = shape(cursor, id);
  const value = defaultValue(cursor);
  if (value && !(optional && value.name === 'None'))
    badDefault(cursor, value, optional ? "'Tensor?': it can only be 'None'" : "'Tensor': it has none");
  return { kind: 'tensor', id, shape: parts, optional, state, keywordOnly };
}

function scalar(cursor: Cursor, kind: 'float' | 'int', keywordOnly: boolean): Parameter {
  const id = cursor.identifier('the name of an argument');
  const value = defaultValue(cursor);
  if (!value) return { kind, id, keywordOnly };
  const found = numberOf(value.name);
  if (found === undefined) badDefault(cursor, value, `'${kind}'`);
  else if (kind === 'int' && !Number.isSafeInteger(found))
    badDefault(cursor, value, "'int': it is not whole, or too large to be exact");
  return { kind, id, keywordOnly, default: found ?? 0 };
}

function bool(cursor: Cursor, keywordOnly: boolean): Parameter {
  const id = cursor.identifier('the name of an argument');
  const value = defaultValue(cursor);
  if (!value) return { kind: 'bool', id, keywordOnly };
  if (!/^([Tt]rue|[Ff]alse)$/.test(value.name)) badDefault(cursor, value, "'bool': it is 'True' or 'False'");
  return { kind: 'bool', id, keywordOnly, default: /^[Tt]rue$/.test(value.name) };
}

/** The token after `=`, a sign included. */
function defaultValue({ accept, peek, take, fail }: Cursor): Identifier | undefined {
  if (!accept('=')) return undefined;
  const sign = peek();
  const isSigned = accept('-') || accept('+');
  if (peek().kind === 'end' || [',', ')', ']', '('].includes(peek().name)) fail('a default belongs here');
  const { name, span } = take();
  return isSigned
    ? { name: sign.name + name, span: { start: sign.span.start, end: span.end } }
    : { name, span };
}

function badDefault({ report }: Cursor, value: Identifier, kind: string): void {
  report('bad-default', value.span, `${quoted(value.name)} is no default for ${kind}`);
}

function results(cursor: Cursor): Result[] {
  if (!cursor.accept('(')) return [result(cursor)];
  const found = [result(cursor)];
  while (cursor.accept(',')) found.push(result(cursor));
  cursor.expect(')');
  return found;
}

function result(cursor: Cursor): Result {
  const { name, span } = cursor.identifier("a return, as in 'Tensor y[n, c]',");
  if (name !== 'Tensor') {
    const hint = didYouMean(name, ['Tensor']);
    cursor.report('unknown-type', span, `a return is a 'Tensor', not ${quoted(name)}`, hint);
  }
  const id = cursor.identifier('the name of the return');
  return { id, shape: shape(cursor, id) };
}

function shape(cursor: Cursor, of: Identifier): Shape {
  cursor.expect('[', `write '${of.name}[]' for a scalar, or name its axes as in '${of.name}[n, c]'`);
  const dimensions: Dimension[] = [];
  const axes: Identifier[] = [];
  if (!cursor.accept(']')) {
    do dimensions.push(dimension(cursor, axes));
    while (cursor.accept(','));
    cursor.expect(']');
  }
  reportTwice(cursor, of, axes);
  return { dimensions, axes };
}

function reportTwice({ report }: Cursor, of: Identifier, axes: readonly Identifier[]): void {
  const seen = new Set<string>();
  for (const { name, span } of axes) {
    if (seen.has(name))
      report('duplicate-axis', span, `${quoted(of.name)} has the axis ${quoted(name)} twice`);
    seen.add(name);
  }
}

/** One dimension; its axes are added to those of the shape. */
function dimension(cursor: Cursor, axes: Identifier[]): Dimension {
  const take = (): string => {
    const id = axis(cursor);
    axes.push(id);
    return id.name;
  };
  if (cursor.accept('*')) return { kind: 'fold', axis: take() };
  if (!cursor.accept('(')) return { kind: 'axis', axis: take() };
  const parts = [take()];
  while (!cursor.accept(')')) {
    if (cursor.peek().name === '*') cursor.fail('a fold cannot be part of a split');
    cursor.accept(',');
    parts.push(take());
  }
  return parts.length === 1 ? { kind: 'axis', axis: parts[0]! } : { kind: 'split', axes: parts };
}

function axis(cursor: Cursor): Identifier {
  const id = cursor.identifier('an axis');
  if (isReservedAxis(id.name))
    cursor.report('reserved-name', id.span, `an axis cannot be called ${quoted(id.name)}`);
  return id;
}
