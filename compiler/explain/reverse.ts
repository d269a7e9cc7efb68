/** Reverse mode over named values: the cotangent of each, from those of the values that use it. */
import { type Axes, axesOf, difference, union } from '../graph/axes.ts';
import { add, input, isNumber, sum } from '../graph/build.ts';
import { type VjpStep, vjp } from '../graph/differentiate.ts';
import { children, type Expr, topological } from '../graph/expr.ts';
import { inputName } from '../graph/print.ts';
import { type Flow, flowOf } from './flow.ts';
import { type RuleName, ruleOf } from './rules.ts';
import { type NamedValue, withNames } from './values.ts';

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
  /** What it is called: `grad_xhat`, and for an argument `dx`. */
  readonly name: string;
  readonly axes: Axes;
  readonly expr: Expr;
  readonly shares: readonly Share[];
}

export interface Reverse {
  readonly cotangents: readonly Cotangent[];
  readonly flow: Flow;
}

/** A value whose cotangent is handed in. */
export interface Seed {
  readonly node: Expr;
  /** May have more axes than the value, along which that is repeated. */
  readonly ct: Expr;
}

/** What cotangents are called, by the names of what they belong to. */
export interface CotangentNames {
  readonly value: (name: string) => string;
  /** Of what is differentiated by. */
  readonly wanted: (name: string) => string;
}

const firstOrder: CotangentNames = { value: (name) => `grad_${name}`, wanted: (name) => `d${name}` };
export const secondOrder: CotangentNames = {
  value: (name) => `second_${name}`,
  wanted: (name) => `second_${name}`,
};

/** The derivation by hand, from the seeds back to the inputs in `wrt`. */
export function reverseMode(
  values: readonly NamedValue[],
  seeds: readonly Seed[],
  wrt: readonly Expr[],
  names = firstOrder,
): Reverse {
  const { needed, live, flow } = flowOf(
    values,
    seeds.map(({ node }) => node),
    wrt,
  );
  const received = new Map<Expr, { expr: Expr; share: Share }[]>();
  const cotangents: Cotangent[] = [];
  const passedOn = new Set<string>();
  const collect = (node: Expr, wanted: string | undefined, own: string): Expr | undefined => {
    const given = seeds.find((seed) => seed.node === node);
    const seed = given && sumTo(given.ct, node.axes);
    const parts = received.get(node) ?? [];
    if (parts.length === 0 && wanted === undefined) return seed;
    if (!seed && parts.length === 0) return undefined;
    const name = wanted ?? (seed ? `total_${own}` : own);
    const expr = withNames(add(...(seed ? [seed] : []), ...parts.map((part) => part.expr)), values);
    cotangents.push({ name, axes: node.axes, expr, shares: parts.map(({ share }) => share) });
    return isNumber(expr, 0) ? undefined : input('scratch', name, node.axes);
  };
  for (const { name, node, expr } of values.filter((value) => needed.has(value.node)).reverse()) {
    if (!live.has(node)) continue;
    const ct = collect(node, undefined, names.value(name));
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
  for (const node of wrt) {
    if (node.op !== 'input') continue;
    const name = inputName(node);
    collect(node, names.wanted(name), names.value(name));
  }
  const dependent = flow.dependent.filter((name) => passedOn.has(name));
  return { cotangents, flow: { ...flow, dependent } };
}

const sumTo = (ct: Expr, axes: Axes): Expr => sum(ct, difference(ct.axes, axes));

/** The rows that lie on the way from a formula to one of its operands. */
function notesOn(root: Expr, operand: Expr, steps: readonly VjpStep[]): Pick<Share, 'rules' | 'over'> {
  const onTheWay = new Set<Expr>([operand]);
  for (const part of topological([root])) if (children(part).some((c) => onTheWay.has(c))) onTheWay.add(part);
  const used = steps.filter((step) => onTheWay.has(step.operand));
  const rules = new Map(used.map((step) => [ruleOf(step).identity, ruleOf(step)]));
  return { rules: [...rules.values()], over: axesOf(union([], ...used.map(({ over }) => over))) };
}
