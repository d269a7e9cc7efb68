/** Reads a signature: `name(Tensor x[n, c, *s], *, bool training, float eps = 1e-5) -> (Tensor y[n, c, *s])`. */
import type { Span } from '../diagnostics.ts';
import { didYouMean, quoted, type Report } from './codes.ts';
import { numberOf } from './document.ts';
import type { Passage } from './passage.ts';
import type { Axis, Dimension } from './spec.ts';
import { isReservedAxis, isReservedEntry } from './words.ts';

export interface Identifier {
  readonly name: string;
  readonly span: Span;
}

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

export interface Signature {
  readonly id: Identifier;
  readonly parameters: readonly Parameter[];
  readonly returns: readonly { readonly id: Identifier; readonly shape: Shape }[];
}

interface Token extends Identifier {
  readonly kind: 'name' | 'number' | 'sign' | 'end';
}

/** Carries a syntax error out of the descent; it is reported where it is caught. */
class SignatureError extends Error {
  constructor(
    readonly token: Token,
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

const pattern =
  /\s*(?:([A-Za-z_][A-Za-z0-9_]*)|((?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(->|[\p{L}\p{M}\p{N}_$]+|[^\s]))/uy;

function tokenize(passage: Passage): Token[] {
  const tokens: Token[] = [];
  pattern.lastIndex = 0;
  for (let match = pattern.exec(passage.text); match; match = pattern.exec(passage.text)) {
    const [all, name, number, sign] = match;
    const text = name ?? number ?? sign ?? '';
    const end = match.index + all.length;
    const kind = name !== undefined ? 'name' : number !== undefined ? 'number' : 'sign';
    tokens.push({ kind, name: text, span: passage.span(end - text.length, end) });
  }
  const last = tokens.at(-1)?.span ?? passage.whole;
  return [
    ...tokens,
    { kind: 'end', name: '', span: { start: Math.max(last.start, last.end - 1), end: last.end } },
  ];
}

/** The parts of a signature; undefined if it does not follow the grammar, which is reported. */
export function parseSignature(passage: Passage, report: Report): Signature | undefined {
  const tokens = tokenize(passage);
  let at = 0;
  let sound = true;
  const next = (): Token => tokens[at]!;
  const fail = (message: string, hint?: string): never => {
    throw new SignatureError(next(), message, hint);
  };

  const accept = (text: string): boolean => {
    if (next().name !== text || next().kind === 'end') return false;
    at += 1;
    return true;
  };
  const hintOfForeign = (): string | undefined =>
    next().kind !== 'name' && /^[\p{L}\p{N}_$]/u.test(next().name)
      ? 'names are made of the letters a to z, digits and _'
      : undefined;
  const expect = (text: string, hint?: string): void => {
    if (!accept(text)) fail(`${quoted(text)} belongs here`, hint ?? hintOfForeign());
  };
  const identifier = (what: string): Identifier => {
    const token = next();
    if (token.kind !== 'name') return fail(`${what} belongs here`, hintOfForeign());
    at += 1;
    return { name: token.name, span: token.span };
  };

  const axis = (): Identifier => {
    const id = identifier('an axis');
    if (isReservedAxis(id.name))
      report('reserved-name', id.span, `an axis cannot be called ${quoted(id.name)}`);
    return id;
  };

  function dimension(axes: Identifier[]): Dimension {
    const take = (): Axis => {
      const id = axis();
      axes.push(id);
      return id.name;
    };
    if (accept('*')) return { kind: 'fold', axis: take() };
    if (!accept('(')) return { kind: 'axis', axis: take() };
    const parts = [take()];
    while (!accept(')')) {
      if (next().name === '*') fail('a fold cannot be part of a split');
      accept(',');
      parts.push(take());
    }
    return parts.length === 1 ? { kind: 'axis', axis: parts[0]! } : { kind: 'split', axes: parts };
  }

  function shape(of: Identifier): Shape {
    expect('[', `write '${of.name}[]' for a scalar, or name its axes as in '${of.name}[n, c]'`);
    const dimensions: Dimension[] = [];
    const axes: Identifier[] = [];
    if (!accept(']')) {
      do dimensions.push(dimension(axes));
      while (accept(','));
      expect(']');
    }
    const seen = new Set<string>();
    for (const { name, span } of axes) {
      if (seen.has(name))
        report('duplicate-axis', span, `${quoted(of.name)} has the axis ${quoted(name)} twice`);
      seen.add(name);
    }
    return { dimensions, axes };
  }

  /** The token after `=`, a sign included. */
  function defaultValue(): Identifier | undefined {
    if (!accept('=')) return undefined;
    const sign = next();
    const negative = accept('-') || accept('+');
    const token = next();
    if (token.kind === 'end' || [',', ')', ']', '('].includes(token.name)) fail('a default belongs here');
    at += 1;
    const span = { start: negative ? sign.span.start : token.span.start, end: token.span.end };
    return { name: negative ? sign.name + token.name : token.name, span };
  }

  function badDefault(value: Identifier, kind: string): undefined {
    report('bad-default', value.span, `${quoted(value.name)} is no default for ${kind}`);
  }

  function tensor(keywordOnly: boolean): Parameter {
    let state = false;
    let optional = accept('?');
    if (accept('(')) {
      identifier("a letter, as in 'Tensor(a!)',");
      expect('!', "state is written 'Tensor(a!)'");
      expect(')');
      state = true;
      optional = accept('?') || optional;
    }
    const id = identifier('the name of a tensor');
    const parts = shape(id);
    const value = defaultValue();
    if (value && !(optional && value.name === 'None')) {
      badDefault(value, optional ? "'Tensor?': it can only be 'None'" : "'Tensor': it has none");
    }
    return { kind: 'tensor', id, shape: parts, optional, state, keywordOnly };
  }

  function scalar(kind: 'float' | 'int', keywordOnly: boolean): Parameter {
    const id = identifier('the name of an argument');
    const value = defaultValue();
    if (!value) return { kind, id, keywordOnly };
    const found = numberOf(value.name);
    if (found === undefined) badDefault(value, `'${kind}'`);
    else if (kind === 'int' && !Number.isSafeInteger(found))
      badDefault(value, "'int': it is not whole, or too large to be exact");
    return { kind, id, keywordOnly, default: found ?? 0 };
  }

  function bool(keywordOnly: boolean): Parameter {
    const id = identifier('the name of an argument');
    const value = defaultValue();
    if (!value) return { kind: 'bool', id, keywordOnly };
    if (!/^([Tt]rue|[Ff]alse)$/.test(value.name)) badDefault(value, "'bool': it is 'True' or 'False'");
    return { kind: 'bool', id, keywordOnly, default: /^[Tt]rue$/.test(value.name) };
  }

  /** Past an argument that cannot be read, up to the comma or bracket that ends it. */
  function skip(): void {
    for (let depth = 0; next().kind !== 'end'; at += 1) {
      const text = next().name;
      if (depth === 0 && (text === ',' || text === ')')) return;
      depth += text === '(' || text === '[' ? 1 : text === ')' || text === ']' ? -1 : 0;
    }
  }

  function parameter(keywordOnly: boolean): Parameter | undefined {
    const type = next();
    const name = identifier("an argument, as in 'Tensor x[n, c]' or 'float eps = 1e-5',").name;
    if (name === 'Tensor') return tensor(keywordOnly);
    const isPlain = next().kind === 'name';
    if (isPlain && (name === 'float' || name === 'int')) return scalar(name, keywordOnly);
    if (isPlain && name === 'bool') return bool(keywordOnly);
    const types = ['Tensor', 'float', 'int', 'bool'];
    const hint = didYouMean(name, types) ?? "the types are 'Tensor', 'float', 'int' and 'bool'";
    const isKnown = types.includes(name);
    if (isKnown)
      report('unknown-type', next().span, `only tensors can be optional or have axes, not ${quoted(name)}`);
    else report('unknown-type', type.span, `unknown type ${quoted(name)}`, hint);
    return guess(keywordOnly);
  }

  /** An argument of an unknown type, taken for a tensor if it has axes and for a number otherwise. */
  function guess(keywordOnly: boolean): Parameter | undefined {
    while (next().kind === 'sign' && ['?', '[', ']'].includes(next().name)) at += 1;
    const isTensor = next().kind === 'name' && tokens[at + 1]?.name === '[';
    if (isTensor) return tensor(keywordOnly);
    const id = next().kind === 'name' ? identifier('a name') : undefined;
    skip();
    if (!id) sound = false;
    return id && { kind: 'float', id, keywordOnly };
  }

  function parameters(): Parameter[] {
    const found: Parameter[] = [];
    let keywordOnly = false;
    expect('(');
    if (accept(')')) return found;
    do {
      if (next().name === '*' && !keywordOnly) {
        at += 1;
        keywordOnly = true;
        continue;
      }
      const one = parameter(keywordOnly);
      if (one) found.push(one);
    } while (accept(','));
    expect(')');
    return found;
  }

  function result(): { id: Identifier; shape: Shape } {
    const type = identifier("a return, as in 'Tensor y[n, c]',");
    if (type.name !== 'Tensor') {
      report(
        'unknown-type',
        type.span,
        `a return is a 'Tensor', not ${quoted(type.name)}`,
        didYouMean(type.name, ['Tensor']),
      );
    }
    const id = identifier('the name of the return');
    return { id, shape: shape(id) };
  }

  function results(): { id: Identifier; shape: Shape }[] {
    if (!accept('(')) return [result()];
    const found = [result()];
    while (accept(',')) found.push(result());
    expect(')');
    return found;
  }

  try {
    const id = identifier('the name of the entry');
    if (isReservedEntry(id.name))
      report('reserved-name', id.span, `an entry cannot be called ${quoted(id.name)}`);
    const found = parameters();
    expect('->', "a signature ends with its returns, as in '-> Tensor y[n, c]'");
    const returns = results();
    if (next().kind !== 'end') fail('the signature goes on after its returns');
    return sound ? { id, parameters: found, returns } : undefined;
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    report('bad-signature', error.token.span, error.message, error.hint);
    return undefined;
  }
}
