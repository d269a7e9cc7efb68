/** Formulas to graph: one entry under one variant becomes the expressions of its returns, updates and conditions. */
import { invariant } from '../diagnostics.ts';
import type { Axis, Entry, Formula, Named, ReductionFunction, UnaryFunction, Variant } from '../spec/spec.ts';
import { staticTruth } from '../spec/variants.ts';
import { type Axes, axesOf } from './axes.ts';
import {
  and,
  atom,
  call,
  compare,
  constant,
  count,
  div,
  extremum,
  input,
  mean,
  mul,
  neg,
  not,
  number,
  one,
  or,
  parameter,
  power,
  prod,
  rsqrt,
  select,
  size,
  stop,
  sum,
  truth,
  variance,
} from './build.ts';
import { type Expr, Fraction, isReduction, topological } from './expr.ts';

export interface Output {
  readonly name: string;
  /** In the signature's order. */
  readonly axes: readonly Axis[];
  /** May have fewer axes than the output, along which it is repeated. */
  readonly expr: Expr;
}

export interface ReturnOutput extends Output {
  readonly differentiable: boolean;
}

export interface Condition {
  readonly test: Expr;
  readonly message: string;
}

/** The forward of one variant. */
export interface Forward {
  readonly entry: Entry;
  readonly variant: Variant;
  readonly returns: readonly ReturnOutput[];
  readonly updates: readonly Output[];
  /** Conditions left to check on every call, because they depend on sizes or numbers. */
  readonly conditions: readonly Condition[];
  /** Every name a claim may use. */
  readonly scope: ReadonlyMap<string, Expr>;
}

interface Context {
  readonly entry: Entry;
  readonly variant: Variant;
  readonly scope: Map<string, Expr>;
  /** The entry's own axes → those of the entry that is compiled: inside a call they differ, and a fold may be several. */
  readonly axes: (axis: Axis) => readonly Axis[];
  readonly conditions: Condition[];
}

/**
 * The formulas of an entry as graphs, with what the variant decides settled: arguments that are given are inputs with the
 * role `input` over their axes, absent ones their `absent` value. The entry is one that `parseSpec` returned.
 */
export function lowerEntry(entry: Entry, variant: Variant): Forward {
  const context: Context = { entry, variant, scope: new Map(), axes: (axis) => [axis], conditions: [] };
  for (const argument of entry.arguments) {
    if (argument.kind === 'bool') continue;
    if (argument.kind !== 'tensor') {
      const isSize = entry.axes.includes(argument.name);
      context.scope.set(argument.name, isSize ? size(argument.name) : parameter(argument.name));
    } else if (variant.given.get(argument.name) ?? true) {
      context.scope.set(argument.name, input('input', argument.name, argument.axes));
    } else if (entry.absent.has(argument.name)) {
      context.scope.set(argument.name, number(entry.absent.get(argument.name)!));
    }
  }
  lowerBody(context);
  const returned = (name: string): Expr => {
    const value = context.scope.get(name);
    invariant(value, `${entry.name} has no value named ${name}`);
    return value;
  };
  const updates = entry.update.flatMap(({ name, formula }): Output[] => {
    const state = entry.arguments.find((argument) => argument.name === name);
    invariant(state?.kind === 'tensor', `${name} is not a tensor`);
    if (!(variant.given.get(name) ?? true)) return [];
    const old = input('input', name, state.axes);
    const expr = keepOnEmpty(lowerFormula(formula, context), old);
    return expr === old ? [] : [{ name, axes: state.axes, expr }];
  });
  const returns = entry.returns.map(
    ({ name, axes, differentiable }): ReturnOutput => ({ name, axes, differentiable, expr: returned(name) }),
  );
  return { entry, variant, returns, updates, conditions: context.conditions, scope: context.scope };
}

/** A claimed formula, which may use every forward name and the given extra ones. */
export function lowerClaim(claim: Named, forward: Forward, extra: ReadonlyMap<string, Expr>): Expr {
  const { entry, variant } = forward;
  // tangents and cotangents that belong to a tensor which is not given are zero
  const missing = [...variant.given]
    .filter(([, isGiven]) => !isGiven)
    .flatMap(([name]) => [`${name}_t`, `v_${name}`]);
  const zeros = missing.map((name) => [name, number(0)] as const);
  const scope = new Map([...zeros, ...forward.scope, ...extra]);
  return lowerFormula(claim.formula, { entry, variant, scope, axes: (axis) => [axis], conditions: [] });
}

/** State that would be computed from no elements at all is left as it was. */
function keepOnEmpty(updated: Expr, old: Expr): Expr {
  const over = topological([updated]).flatMap((node) => (isReduction(node) ? [count(node.over)] : []));
  const full = [...new Set(over)].map((elements) => compare('>', elements, number(0)));
  return select(full.reduce(and, truth(true)), updated, old);
}

function lowerBody(context: Context): void {
  for (const { name, formula } of context.entry.forward)
    context.scope.set(name, lowerFormula(formula, context));
  for (const { that, else: message } of context.entry.require) {
    const test = lowerFormula(that, context);
    if (test.op !== 'truth' || !test.value) context.conditions.push({ test, message });
  }
}

const unary: { readonly [K in UnaryFunction]?: (x: Expr) => Expr } = {
  sqrt: (x) => power(x, new Fraction(1, 2)),
  rsqrt,
};

const reductions: { readonly [K in ReductionFunction]: (x: Expr, over: Axes) => Expr } = {
  sum,
  mean,
  var: variance,
  amax: (x, over) => extremum('amax', x, over),
  amin: (x, over) => extremum('amin', x, over),
  prod,
};

type Lowering = {
  readonly [K in Formula['kind']]: (formula: Extract<Formula, { kind: K }>, context: Context) => Expr;
};

const lowering: Lowering = {
  number: ({ text }) => number(text),
  constant: ({ name }) => constant(name),
  true: () => truth(true),
  false: () => truth(false),
  name: ({ name }, context) => {
    const flag = context.variant.flags.get(name);
    if (flag !== undefined) return truth(flag);
    const value = context.scope.get(name);
    invariant(value, `${name} has no value in this variant of ${context.entry.name}`);
    return value;
  },
  sum: ({ terms }, context) =>
    atom(terms.map(({ negative, of }) => [negative ? new Fraction(-1) : one, lowerFormula(of, context)])),
  negate: ({ of }, context) => neg(lowerFormula(of, context)),
  multiply: ({ a, b }, context) => mul(lowerFormula(a, context), lowerFormula(b, context)),
  divide: ({ a, b }, context) => div(lowerFormula(a, context), lowerFormula(b, context)),
  power: ({ a, b }, context) => lowerPower(lowerFormula(a, context), lowerFormula(b, context)),
  compare: ({ operator, a, b }, context) =>
    compare(operator, lowerFormula(a, context), lowerFormula(b, context)),
  and: ({ a, b }, context) => and(lowerFormula(a, context), lowerFormula(b, context)),
  or: ({ a, b }, context) => or(lowerFormula(a, context), lowerFormula(b, context)),
  not: ({ of }, context) => not(lowerFormula(of, context)),
  select: (formula, context) =>
    select(
      lowerFormula(formula.test, context),
      lowerFormula(formula.then, context),
      lowerFormula(formula.else, context),
    ),
  unary: ({ fn, of }, context) => {
    const x = lowerFormula(of, context);
    return unary[fn]?.(x) ?? call(fn as Exclude<UnaryFunction, 'sqrt' | 'rsqrt'>, x);
  },
  binary: ({ fn, a, b }, context) => {
    const [x, y] = [lowerFormula(a, context), lowerFormula(b, context)];
    return fn === 'pow' ? lowerPower(x, y) : call(fn, x, y);
  },
  clamp: ({ of, low, high }, context) =>
    call('clamp', lowerFormula(of, context), lowerFormula(low, context), lowerFormula(high, context)),
  reduce: ({ fn, of, over }, context) =>
    reductions[fn](lowerFormula(of, context), axesOf(over.flatMap(context.axes))),
  count: ({ over }, context) => count(axesOf(over.flatMap(context.axes))),
  given: ({ name }, context) => truth(context.variant.given.get(name) ?? true),
  stop_gradient: ({ of }, context) => stop(lowerFormula(of, context)),
  op: lowerCall,
};

/** Branches that the variant rules out are never visited: they may read tensors that are absent. */
function lowerFormula(formula: Formula, context: Context): Expr {
  const known = staticTruth(formula, context.variant);
  if (known !== undefined) return truth(known);
  if (formula.kind === 'select') {
    const test = staticTruth(formula.test, context.variant);
    if (test !== undefined) return lowerFormula(test ? formula.then : formula.else, context);
  }
  return (lowering[formula.kind] as (formula: Formula, context: Context) => Expr)(formula, context);
}

const lowerPower = (a: Expr, b: Expr): Expr => (b.op === 'number' ? power(a, b.value) : call('pow', a, b));

/** An entry called by another: its formulas over the caller's expressions and axes. */
function lowerCall(formula: Extract<Formula, { kind: 'op' }>, outer: Context): Expr {
  const entry = outer.entry.entries.get(formula.entry);
  invariant(entry, `${formula.entry} is not an earlier entry`);
  const flags = new Map<string, boolean>();
  const given = new Map<string, boolean>();
  const scope = new Map<string, Expr>();
  const axes = (axis: Axis): readonly Axis[] => {
    const callers = formula.folds?.get(axis) ?? [formula.axes.get(axis) ?? axis];
    return callers.flatMap(outer.axes);
  };
  for (const argument of entry.arguments) {
    const passed = formula.arguments.get(argument.name);
    if (argument.kind === 'bool') {
      flags.set(argument.name, (passed ? staticTruth(passed, outer.variant) : argument.default) ?? false);
    } else if (argument.kind === 'tensor') {
      // one that is needed reads as its absent value where the caller's is not given
      const present = passed !== undefined && (!argument.optional || isPresent(passed, outer));
      if (argument.optional) given.set(argument.name, present);
      if (present) scope.set(argument.name, lowerFormula(passed, outer));
      else if (entry.absent.has(argument.name))
        scope.set(argument.name, number(entry.absent.get(argument.name)!));
    } else if (passed) {
      scope.set(argument.name, lowerFormula(passed, outer));
    } else if (entry.axes.includes(argument.name)) {
      scope.set(argument.name, count(axesOf(axes(argument.name))));
    } else {
      scope.set(argument.name, number(argument.default ?? 0));
    }
  }
  const inner: Context = { entry, variant: { flags, given }, scope, axes, conditions: outer.conditions };
  lowerBody(inner);
  const result = scope.get(entry.returns[0]!.name);
  invariant(result, `${entry.name} defines no ${entry.returns[0]!.name}`);
  return result;
}

const isPresent = (passed: Formula, context: Context): boolean =>
  passed.kind !== 'name' || (context.variant.given.get(passed.name) ?? true);
