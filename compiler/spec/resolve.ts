/** Looks up the names and functions of a parsed formula, and checks its axes and what is a number or a condition. */

import { resolveOp } from './calls.ts';
import { didYouMean, listed, quoted } from './codes.ts';
import { type Binding, ordered, resolveName, type Scope, type Typed } from './scope.ts';
import type { Axis, Formula, ReductionFunction } from './spec.ts';
import type { Syntax } from './syntax.ts';
import { functionNames, isReduction, isUnary } from './words.ts';

/** The formula with its axes and type; undefined if something was reported. */
export function resolve(syntax: Syntax, scope: Scope): Typed | undefined {
  const { span } = syntax;
  switch (syntax.kind) {
    case 'number':
      return { type: 'number', axes: [], formula: { kind: 'number', text: syntax.text, span } };
    case 'name':
      return resolveName(syntax.name, span, scope);
    case 'sum': {
      const terms = syntax.terms.map(({ negative, of }) => ({ negative, of: numeric(of, scope) }));
      const found = terms.flatMap(({ negative, of }) => (of ? [{ negative, of: of.formula }] : []));
      if (found.length < terms.length) return undefined;
      return typed(
        'number',
        terms.map(({ of }) => of),
        { kind: 'sum', terms: found, span },
        scope,
      );
    }
    case 'multiply':
    case 'divide':
    case 'power':
      return pair(numeric(syntax.a, scope), numeric(syntax.b, scope), 'number', scope, (a, b) => ({
        kind: syntax.kind,
        a,
        b,
        span,
      }));
    case 'compare':
      return pair(numeric(syntax.a, scope), numeric(syntax.b, scope), 'condition', scope, (a, b) => {
        return { kind: 'compare', operator: syntax.operator, a, b, span };
      });
    case 'and':
    case 'or':
      return pair(condition(syntax.a, scope), condition(syntax.b, scope), 'condition', scope, (a, b) => ({
        kind: syntax.kind,
        a,
        b,
        span,
      }));
    case 'negate':
      return wrap(numeric(syntax.of, scope), (of) => ({ kind: 'negate', of, span }));
    case 'not':
      return wrap(condition(syntax.of, scope, notHint(syntax.of)), (of) => ({ kind: 'not', of, span }));
    case 'select':
      return resolveSelect(syntax, scope);
    case 'call':
      return resolveCall(syntax, scope);
    case 'keywords':
      scope.report('syntax', span, "'{…}' belongs at the end of a call of an entry only");
      return undefined;
  }
}

/** A formula that must be a number. */
export function numeric(syntax: Syntax, scope: Scope): Typed | undefined {
  const found = resolve(syntax, scope);
  if (found?.type !== 'condition') return found;
  scope.report('type-mismatch', syntax.span, 'a condition is used as a number', "write 'test ? 1 : 0'");
  return undefined;
}

/** A formula that must be a condition. */
export function condition(syntax: Syntax, scope: Scope, hint?: string): Typed | undefined {
  const found = resolve(syntax, scope);
  if (found?.type !== 'number') return found;
  const given =
    syntax.kind === 'name' && scope.optional.has(syntax.name) ? `write 'given(${syntax.name})'` : undefined;
  scope.report(
    'type-mismatch',
    syntax.span,
    'a number is used as a condition',
    hint ?? given ?? "compare it, as in 'a > 0'",
  );
  return undefined;
}

/** `not a == b` is `(not a) == b`. */
const notHint = (of: Syntax): string | undefined =>
  of.kind === 'name' || of.kind === 'call' ? "'not' takes the nearest value: write 'not (a > b)'" : undefined;

const typed = (
  type: Binding['type'],
  parts: readonly (Binding | undefined)[],
  formula: Formula,
  scope: Scope,
): Typed => ({
  type,
  axes: ordered(
    parts.flatMap((part) => part?.axes ?? []),
    scope,
  ),
  formula,
});

function pair(
  a: Typed | undefined,
  b: Typed | undefined,
  type: Binding['type'],
  scope: Scope,
  make: (a: Formula, b: Formula) => Formula,
): Typed | undefined {
  return a && b && typed(type, [a, b], make(a.formula, b.formula), scope);
}

const wrap = (of: Typed | undefined, make: (of: Formula) => Formula): Typed | undefined =>
  of && { ...of, formula: make(of.formula) };

function resolveSelect(syntax: Syntax & { kind: 'select' }, scope: Scope): Typed | undefined {
  const test = condition(syntax.test, scope);
  const then = resolve(syntax.then, scope);
  const otherwise = resolve(syntax.else, scope);
  if (!then || !otherwise) return undefined;
  if (then.type !== otherwise.type) {
    const odd = then.type === 'condition' ? syntax.then : syntax.else;
    scope.report('type-mismatch', odd.span, 'one branch is a condition and the other a number');
    return undefined;
  }
  if (!test) return undefined;
  const formula: Formula = {
    kind: 'select',
    test: test.formula,
    then: then.formula,
    else: otherwise.formula,
    span: syntax.span,
  };
  return typed(then.type, [test, then, otherwise], formula, scope);
}

type Call = Syntax & { kind: 'call' };

function resolveCall(call: Call, scope: Scope): Typed | undefined {
  const { name, args, span } = call;
  const [first, second, third] = args;
  const keywords = args.find((arg) => arg.kind === 'keywords');
  if (functionNames.includes(name) && keywords) {
    scope.report('syntax', keywords.span, `${quoted(name)} has no keyword arguments`);
    return undefined;
  }
  if (isUnary(name)) {
    if (!hasArity(call, 1, scope)) return undefined;
    return wrap(numeric(first!, scope), (of) => ({ kind: 'unary', fn: name, of, span }));
  }
  if (isReduction(name)) return resolveReduction(call, name, scope);
  switch (name) {
    case 'min':
    case 'max':
    case 'pow':
      if (!hasArity(call, 2, scope)) return undefined;
      return pair(numeric(first!, scope), numeric(second!, scope), 'number', scope, (a, b) => ({
        kind: 'binary',
        fn: name,
        a,
        b,
        span,
      }));
    case 'clamp': {
      if (!hasArity(call, 3, scope)) return undefined;
      const parts = [first!, second!, third!].map((arg) => numeric(arg, scope));
      const [of, low, high] = parts;
      if (!of || !low || !high) return undefined;
      return typed(
        'number',
        parts,
        { kind: 'clamp', of: of.formula, low: low.formula, high: high.formula, span },
        scope,
      );
    }
    case 'count': {
      const over = axesIn(call, args, scope);
      return over && { type: 'number', axes: [], formula: { kind: 'count', over, span } };
    }
    case 'given':
      return resolveGiven(call, scope);
    case 'stop_gradient':
      if (!hasArity(call, 1, scope)) return undefined;
      return wrap(numeric(first!, scope), (of) => ({ kind: 'stop_gradient', of, span }));
    default:
      return resolveOp(call, scope);
  }
}

function hasArity(call: Call, count: number, scope: Scope): boolean {
  const { name, args } = call;
  const isReduction =
    (name === 'max' || name === 'min') && args.length > 1 && args.slice(1).every((arg) => isAxis(arg, scope));
  if (args.length === count && !isReduction) return true;
  if (isReduction) {
    scope.report(
      'arity',
      call.span,
      `${quoted(name)} takes two values, not axes`,
      `did you mean 'a${name}'?`,
    );
    return false;
  }
  const takes = `${count} argument${count === 1 ? '' : 's'}`;
  scope.report('arity', call.span, `${quoted(name)} takes ${takes}, not ${args.length}`);
  return false;
}

const isAxis = (syntax: Syntax, scope: Scope): boolean =>
  syntax.kind === 'name' && scope.axes.includes(syntax.name) && !scope.names.has(syntax.name);

/** The axes that a reduction or `count` names: at least one, none of them twice. */
function axesIn(call: Call, args: readonly Syntax[], scope: Scope): Axis[] | undefined {
  const found = new Set<Axis>();
  let sound = true;
  const report: Scope['report'] = (...mistake) => {
    sound = false;
    scope.report(...mistake);
  };
  if (args.length === 0)
    report('arity', call.span, `${quoted(call.name)} needs the axes it is over`, axesHint(call, scope));
  for (const arg of args) {
    if (arg.kind !== 'name') report('unknown-axis', arg.span, `${quoted(call.name)} is over axes, by name`);
    else if (!scope.axes.includes(arg.name)) {
      const hint = didYouMean(arg.name, scope.axes) ?? `the axes are ${listed(scope.axes)}`;
      report('unknown-axis', arg.span, `unknown axis ${quoted(arg.name)}`, hint);
    } else if (found.has(arg.name))
      report('duplicate-axis', arg.span, `the axis ${quoted(arg.name)} is here twice`);
    else found.add(arg.name);
  }
  return sound ? [...found] : undefined;
}

const axesHint = ({ name }: Call, { axes }: Scope): string | undefined =>
  axes[0] === undefined ? undefined : `as in '${name === 'count' ? 'count(' : `${name}(x, `}${axes[0]})'`;

function resolveReduction(call: Call, fn: ReductionFunction, scope: Scope): Typed | undefined {
  const [operand, ...rest] = call.args;
  if (!operand) {
    scope.report(
      'arity',
      call.span,
      `${quoted(fn)} needs an operand and the axes it is over`,
      axesHint(call, scope),
    );
    return undefined;
  }
  const of = numeric(operand, scope);
  const over = axesIn(call, rest, scope);
  if (!of || !over) return undefined;
  const missing = over.filter((axis) => !of.axes.includes(axis));
  for (const axis of missing) {
    const has = of.axes.length === 0 ? 'it has no axes' : `its axes are ${listed(of.axes)}`;
    const at = rest.find((arg) => arg.kind === 'name' && arg.name === axis) ?? operand;
    scope.report('missing-axis', at.span, `the operand of ${quoted(fn)} has no axis ${quoted(axis)}: ${has}`);
  }
  if (missing.length > 0) return undefined;
  const axes = of.axes.filter((axis) => !over.includes(axis));
  return {
    type: 'number',
    axes: ordered(axes, scope),
    formula: { kind: 'reduce', fn, of: of.formula, over, span: call.span },
  };
}

function resolveGiven(call: Call, scope: Scope): Typed | undefined {
  if (!hasArity(call, 1, scope)) return undefined;
  const [arg] = call.args;
  if (arg?.kind === 'name' && scope.optional.has(arg.name)) {
    return { type: 'condition', axes: [], formula: { kind: 'given', name: arg.name, span: call.span } };
  }
  const what = arg?.kind === 'name' ? quoted(arg.name) : 'this';
  const known = arg?.kind !== 'name' || scope.names.has(arg.name);
  if (known) {
    scope.report('not-optional', arg!.span, `${what} is not an optional tensor, so it is always given`);
  } else if (arg.kind === 'name') {
    scope.report('unknown-name', arg.span, `unknown name ${what}`, didYouMean(arg.name, scope.optional));
  }
  return undefined;
}
