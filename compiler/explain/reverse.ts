/** Reverse mode over named values: the cotangent of each, from those of the values that use it. */
import { type Axes, axesOf, difference, union } from '../graph/axes.ts';
import { add, input, isNumber, sum } from '../graph/build.ts';
import { type VjpStep, vjp } from '../graph/differentiate.ts';
import { children, type Expr, topological } from '../graph/expr.ts';
import { cut } from '../graph/rebuild.ts';
import { type RuleName, ruleOf } from './rules.ts';
import { meansIn, type NamedValue } from './values.ts';

/** What one user of a value contributes to its cotangent. */
export interface Share {
  readonly from: string;
  readonly rules: readonly RuleName[];
  /** Axes along which the value was repeated, over which its share is summed. */
  readonly over: Axes;
  /** Zero, whatever the numbers are: the user is constant almost everywhere. */
  readonly isZero: boolean;
}

export interface Cotangent {
  /** The value it belongs to. */
  readonly of: string;
  /** What it is called: `grad_xhat`, and for an argument `dx`. */
  readonly name: string;
  readonly axes: Axes;
  readonly expr: Expr;
  readonly shares: readonly Share[];
  /** Whether it starts with the cotangent that the caller hands in. */
  readonly isGiven: boolean;
}

export interface Reverse {
  readonly cotangents: readonly Cotangent[];
  /** Names that the returns depend on, and that do not depend on what is wanted. */
  readonly independent: readonly string[];
  /** Names between what is wanted and the returns, through which a gradient flows. */
  readonly dependent: readonly string[];
}

/** A value whose cotangent is handed in, with the axes that one has. */
export interface Seed {
  readonly name: string;
  readonly axes: Axes;
}

/** The derivation by hand, from the seeds back to the arguments in `wrt`. */
export function reverseMode(
  values: readonly NamedValue[],
  returns: readonly Seed[],
  wrt: readonly Expr[],
): Reverse {
  const needed = neededFor(
    returns.map(({ name }) => name),
    values,
  );
  const live = new Set<Expr>(wrt);
  for (const { node, expr } of values) if (topological([expr]).some((part) => live.has(part))) live.add(node);
  const lines = values.filter(({ name, node }) => needed.has(name) && live.has(node));

  const received = new Map<Expr, { expr: Expr; share: Share }[]>();
  const cotangents: Cotangent[] = [];
  const passedOn = new Set<string>();
  const collect = (node: Expr, of: string, isArgument: boolean): Expr | undefined => {
    const given = returns.find(({ name }) => name === of);
    const seed = given && sumTo(input('cotangent', of, given.axes), node.axes);
    const parts = received.get(node) ?? [];
    if (seed && parts.length === 0) return seed;
    if (parts.length === 0) return undefined;
    const name = isArgument ? `d${of}` : seed ? `total_grad_${of}` : `grad_${of}`;
    const expr = withNames(add(...(seed ? [seed] : []), ...parts.map((part) => part.expr)), values);
    const shares = parts.map(({ share }) => share);
    cotangents.push({ of, name, axes: node.axes, expr, shares, isGiven: seed !== undefined });
    return isNumber(expr, 0) ? undefined : input('scratch', name, node.axes);
  };
  for (const { name, node, expr } of [...lines].reverse()) {
    const ct = collect(node, name, false);
    if (!ct) continue;
    passedOn.add(name);
    const parents = [...live].filter((other) => topological([expr]).includes(other));
    const steps: VjpStep[] = [];
    const shares = vjp([[expr, ct]], parents, (step) => void steps.push(step));
    for (const [i, parent] of parents.entries()) {
      const isZero = isNumber(shares[i]!, 0);
      const share = { from: name, ...notesOn(expr, parent, steps), isZero };
      received.set(parent, [...(received.get(parent) ?? []), { expr: shares[i]!, share }]);
    }
  }
  for (const node of wrt) if (node.op === 'input') collect(node, node.of, true);
  const names = values.filter(({ name }) => needed.has(name));
  return {
    cotangents,
    independent: names.filter(({ node }) => !live.has(node)).map(({ name }) => name),
    dependent: lines.filter(({ name }) => passedOn.has(name)).map(({ name }) => name),
  };
}

const sumTo = (ct: Expr, axes: Axes): Expr => sum(ct, difference(ct.axes, axes));

/** The names that some others are computed from, and these themselves. */
function neededFor(names: readonly string[], values: readonly NamedValue[]): Set<string> {
  const needed = new Set(names);
  for (const { name, expr } of [...values].reverse()) {
    if (!needed.has(name)) continue;
    for (const part of topological([expr])) {
      if (part.op === 'input' && values.some(({ node }) => node === part)) needed.add(part.of);
    }
  }
  return needed;
}

/** The rows that lie on the way from a formula to one of its operands. */
function notesOn(root: Expr, operand: Expr, steps: readonly VjpStep[]): Pick<Share, 'rules' | 'over'> {
  const onTheWay = new Set<Expr>([operand]);
  for (const part of topological([root])) if (children(part).some((c) => onTheWay.has(c))) onTheWay.add(part);
  const used = steps.filter((step) => onTheWay.has(step.operand));
  const rules = new Map(used.map((step) => [ruleOf(step).identity, ruleOf(step)]));
  return { rules: [...rules.values()], over: axesOf(union([], ...used.map(({ over }) => over))) };
}

/** Means that have a name go by it. */
function withNames(e: Expr, values: readonly NamedValue[]): Expr {
  const known = new Map(values.filter(({ expr }) => children(expr).length > 0).map((v) => [v.expr, v.node]));
  return cut(meansIn([e]), (part) => known.get(part))[0]!;
}
