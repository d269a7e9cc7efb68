/** Resolves a call of an earlier entry: which argument is which, and which axis of the caller each axis stands for. */
import type { Span } from '../diagnostics.ts';
import { didYouMean, listed, quoted } from './codes.ts';
import { condition, numeric } from './resolve.ts';
import { ordered, type Scope, type Typed } from './scope.ts';
import type { Argument, Axis, Dimension, Entry, Formula, TensorArgument } from './spec.ts';
import type { Syntax } from './syntax.ts';
import { functionNames } from './words.ts';

type Call = Syntax & { kind: 'call' };

/** The call, or undefined if something was reported or the entry itself is broken. */
export function resolveOp(call: Call, scope: Scope): Typed | undefined {
  const standing = scope.entries.get(call.name);
  if (typeof standing === 'object') return resolveEntryCall(call, standing, scope);
  // What the arguments say is reported whatever is called.
  for (const arg of call.args) {
    if (arg.kind !== 'keywords') numericOrCondition(arg, scope);
  }
  reportUncallable(call, standing, scope);
  return undefined;
}

function numericOrCondition(arg: Syntax, scope: Scope): void {
  if (arg.kind === 'name' && scope.axes.includes(arg.name)) return;
  numeric(arg, {
    ...scope,
    report: (code, ...rest) => code !== 'type-mismatch' && scope.report(code, ...rest),
  });
}

function reportUncallable(
  { name, nameSpan }: Call,
  standing: 'broken' | 'self' | 'later' | undefined,
  scope: Scope,
): void {
  if (standing === 'broken') {
    scope.taint();
  } else if (standing === 'self') {
    scope.report('call-order', nameSpan, `${quoted(name)} calls itself`);
  } else if (standing === 'later') {
    scope.report(
      'call-order',
      nameSpan,
      `${quoted(name)} is a later entry`,
      'an entry can call earlier ones only',
    );
  } else if (scope.names.has(name)) {
    scope.report(
      'unknown-function',
      nameSpan,
      `${quoted(name)} is a value, not a function`,
      `did you mean '${name} * (…)'?`,
    );
  } else {
    const callable = [...scope.entries]
      .filter(([, entry]) => typeof entry === 'object')
      .map(([entry]) => entry);
    const hint = didYouMean(name, [...functionNames, ...callable]);
    scope.report('unknown-function', nameSpan, `unknown function ${quoted(name)}`, hint);
  }
}

function resolveEntryCall(call: Call, entry: Entry, scope: Scope): Typed | undefined {
  let sound = true;
  const noting: Scope = {
    ...scope,
    report: (...mistake) => {
      sound = false;
      scope.report(...mistake);
    },
  };
  const passed = assign(call, entry, noting);
  const values = new Map<string, Formula>();
  const axes = new Map<Axis, readonly Axis[]>();
  let complete = true;
  for (const [argument, syntax] of passed) {
    const value = resolveArgument(argument, syntax, noting);
    if (!value) complete = false;
    else {
      values.set(argument.name, value.formula);
      if (argument.kind === 'tensor')
        unify(argument, value, { span: syntax.span, entry: entry.name }, axes, noting);
    }
  }
  for (const argument of entry.arguments) {
    const isNeeded = argument.kind === 'tensor' ? !argument.optional : argument.default === undefined;
    if (isNeeded && !passed.has(argument)) {
      noting.report(
        'missing-argument',
        call.span,
        `${quoted(entry.name)} needs its argument ${quoted(argument.name)}`,
      );
    }
  }
  if (!sound || !complete) return undefined;
  return finish(call, entry, values, axes, noting);
}

function finish(
  call: Call,
  entry: Entry,
  values: ReadonlyMap<string, Formula>,
  found: ReadonlyMap<Axis, readonly Axis[]>,
  scope: Scope,
): Typed | undefined {
  const result = entry.returns[0];
  const unknown = result?.axes.find((axis) => !found.has(axis));
  if (!result || unknown !== undefined) {
    scope.report(
      'axis-mismatch',
      call.span,
      `no argument here tells the axis ${quoted(unknown ?? '')} of ${quoted(entry.name)}`,
    );
    return undefined;
  }
  scope.onCall(entry);
  const single = [...found].flatMap(([axis, to]) => (to.length === 1 ? [[axis, to[0]!] as const] : []));
  const folds = [...found].filter(([, to]) => to.length !== 1);
  const own = {
    kind: 'op' as const,
    entry: entry.name,
    arguments: values,
    positional: call.args.filter(({ kind }) => kind !== 'keywords').length,
    axes: new Map(single),
    span: call.span,
  };
  const formula: Formula = folds.length === 0 ? own : { ...own, folds: new Map(folds) };
  return {
    type: 'number',
    axes: ordered(
      result.axes.flatMap((axis) => found.get(axis) ?? []),
      scope,
    ),
    formula,
  };
}

/** Which argument each formula of the call is for. */
function assign(call: Call, entry: Entry, scope: Scope): Map<Argument, Syntax> {
  const passed = new Map<Argument, Syntax>();
  const positional = entry.arguments.filter((argument) => !argument.keywordOnly);
  for (const [i, arg] of call.args.entries()) {
    if (arg.kind === 'keywords') {
      if (i < call.args.length - 1) scope.report('syntax', arg.span, "'{…}' comes last in a call");
      continue;
    }
    const argument = positional[i];
    if (argument) passed.set(argument, arg);
    else {
      const keyword = entry.arguments.find((a) => !passed.has(a));
      const hint = keyword && `the others have keywords, as in '{${keyword.name}: …}'`;
      scope.report(
        'arity',
        arg.span,
        `${quoted(entry.name)} takes ${positional.length} arguments without keywords`,
        hint,
      );
    }
  }
  for (const keywords of call.args) {
    if (keywords.kind === 'keywords') assignKeywords(keywords, entry, passed, scope);
  }
  return passed;
}

function assignKeywords(
  keywords: Syntax & { kind: 'keywords' },
  entry: Entry,
  passed: Map<Argument, Syntax>,
  scope: Scope,
): void {
  const names = entry.arguments.map(({ name }) => name);
  for (const { name, nameSpan, value } of keywords.fields) {
    const argument = entry.arguments.find((a) => a.name === name);
    if (!argument) {
      const hint = didYouMean(name, names) ?? `it has ${listed(names)}`;
      scope.report(
        'unknown-argument',
        nameSpan,
        `${quoted(entry.name)} has no argument ${quoted(name)}`,
        hint,
      );
    } else if (passed.has(argument)) {
      scope.report('duplicate-name', nameSpan, `the argument ${quoted(name)} is passed twice`);
    } else {
      passed.set(argument, value);
    }
  }
}

function resolveArgument(argument: Argument, syntax: Syntax, scope: Scope): Typed | undefined {
  if (argument.kind === 'bool') {
    const value = condition(syntax, scope);
    if (!value || isStatic(value.formula, scope)) return value;
    const hint = 'it can be made of bool arguments, true, false, given(…), and, or, not';
    scope.report(
      'static-argument',
      syntax.span,
      `${quoted(argument.name)} must be known at compile time`,
      hint,
    );
    return undefined;
  }
  const value = numeric(syntax, scope);
  if (!value || argument.kind === 'tensor' || value.axes.length === 0) return value;
  const what = `${quoted(argument.name)} is one number, and this has the axes ${listed(value.axes)}`;
  scope.report('axis-mismatch', syntax.span, what);
  return undefined;
}

function isStatic(formula: Formula, scope: Scope): boolean {
  switch (formula.kind) {
    case 'true':
    case 'false':
    case 'given':
      return true;
    case 'name':
      return scope.bools.has(formula.name);
    case 'not':
      return isStatic(formula.of, scope);
    case 'and':
    case 'or':
      return isStatic(formula.a, scope) && isStatic(formula.b, scope);
    case 'select':
      return [formula.test, formula.then, formula.else].every((part) => isStatic(part, scope));
    default:
      return false;
  }
}

/** Notes what each axis of a tensor argument stands for: its axes match the value's from first to last. */
function unify(
  argument: TensorArgument,
  value: Typed,
  { span, entry }: { readonly span: Span; readonly entry: string },
  found: Map<Axis, readonly Axis[]>,
  scope: Scope,
): void {
  const matched = match(argument.dimensions, value.axes);
  const wants = argument.axes.length === 0 ? 'no axes' : `the axes ${listed(argument.axes)}`;
  if (!matched) {
    const has = value.axes.length === 0 ? 'none' : listed(value.axes);
    scope.report('axis-mismatch', span, `${quoted(argument.name)} has ${wants}, and this has ${has}`);
    return;
  }
  for (const [axis, to] of matched) {
    const before = found.get(axis);
    if (before && before.join() !== to.join()) {
      const both = `${listed(before)} and ${listed(to)}`;
      scope.report(
        'axis-mismatch',
        span,
        `the axis ${quoted(axis)} of ${quoted(entry)} would be both ${both}`,
      );
      return;
    }
    const rival = [...found].find(
      ([other, others]) => other !== axis && others.some((one) => to.includes(one)),
    );
    if (rival) {
      const both = `${quoted(rival[0])} and ${quoted(axis)}`;
      scope.report('axis-mismatch', span, `the axes ${both} of ${quoted(entry)} would be one, ${listed(to)}`);
      return;
    }
    if (!before) found.set(axis, to);
  }
}

/** Axis by axis; a sole fold takes what the other axes leave. */
function match(
  dimensions: readonly Dimension[],
  axes: readonly Axis[],
): [Axis, readonly Axis[]][] | undefined {
  const own = dimensions.flatMap((d) => (d.kind === 'split' ? d.axes : [d.axis]));
  const folds = dimensions.flatMap((d) => (d.kind === 'fold' ? [d.axis] : []));
  const spare = axes.length - own.length;
  if (folds.length !== 1 && spare !== 0) return undefined;
  if (spare < -1) return undefined;
  let at = 0;
  return own.map((axis): [Axis, readonly Axis[]] => {
    const from = at;
    at += folds.length === 1 && axis === folds[0] ? 1 + spare : 1;
    return [axis, axes.slice(from, at)];
  });
}
