/** Reverse and forward mode over the graph: one table row an op each, applied as often as an order is wanted. */
import { type Axes, difference } from './axes.ts';
import {
  add,
  and,
  atom,
  call,
  centred,
  compare,
  constant,
  count,
  div,
  isNumber,
  linear,
  mask,
  mul,
  neg,
  not,
  number,
  one,
  or,
  others,
  power,
  product,
  scale,
  select,
  sum,
} from './build.ts';
import { gather } from './centre.ts';
import { type Call, children, type Expr, Fraction, type Node, type Op, topological } from './expr.ts';

/** The cotangent of each child, in the order of `children`, given a node and the cotangent of its value. */
type VjpRule<K extends Op> = (node: Node<K>, ct: Expr) => readonly (Expr | undefined)[];

const none = (node: Expr): undefined[] => children(node).map(() => undefined);

const reductionVjp = {
  sum: (_: Expr, ct: Expr) => [ct], // the transpose of a sum is a broadcast
  mean: ({ over }: Node<'mean'>, ct: Expr) => [div(ct, count(over))],
  var: ({ x, over }: Node<'var'>, ct: Expr) => [scale(2, div(mul(ct, centred(x, over)), count(over)))],
  amax: shareAmongTies,
  amin: shareAmongTies,
  prod: ({ x, over }: Node<'prod'>, ct: Expr) => [mul(ct, others(x, [], over))],
};

/**
 * Reverse mode. Shares are over the axes that the node computes over, or fewer; `vjp` sums them over those that the
 * operand lacks. Undefined and `none` stand for zero, which a derivative of conditions is almost everywhere.
 */
export const vjpRules: { readonly [K in Op]: VjpRule<K> } = {
  number: none,
  constant: none,
  truth: none,
  input: none,
  parameter: none,
  size: none,
  compare: none, // constant almost everywhere
  and: none,
  or: none,
  not: none,
  stop: none,
  // a further derivative by x is one along the cotangent, and directions that are linear give way to it
  others: ({ x, along, among }, ct) => [
    others(x, [...along, ct], among),
    ...along.map((_, i) => others(x, along.with(i, ct), among)),
  ],
  add: ({ terms }, ct) => terms.map(([c]) => scale(c, ct)),
  mul: (node, ct) => node.factors.map((_, i) => mul(ct, slope(node, i))),
  select: ({ test }, ct) => [undefined, mask(test, ct), mask(not(test), ct)],
  call: ({ fn, args }, ct) => partials[fn](args).map((partial) => partial?.(ct)),
  ...reductionVjp,
};

/** The derivative of a product by its factor fᵖ: d fᵖ = p fᵖ⁻¹ df. A root of a product stays one, so that it may be zero. */
function slope({ coefficient, factors }: Node<'mul'>, i: number): Expr {
  const [f, p] = factors[i]!;
  return product(coefficient.mul(p), factors.with(i, [f, p.sub(1)]));
}

/** A partial derivative as a linear map: what it makes of a cotangent, or of a tangent. */
type Linear = (t: Expr) => Expr;
const times =
  (k: Expr): Linear =>
  (t) =>
    mul(t, k);
const where =
  (test: Expr): Linear =>
  (t) =>
    mask(test, t);
const zero: Linear = () => number(0);

const oneMinus = (e: Expr): Expr =>
  atom([
    [one, number(1)],
    [new Fraction(-1), e],
  ]);
const onePlus = (e: Expr): Expr =>
  atom([
    [one, number(1)],
    [one, e],
  ]);

/** The partial derivative of each function with respect to each argument; at a kink, PyTorch's choice. */
export const partials: { readonly [K in Call]: (args: readonly Expr[]) => readonly (Linear | undefined)[] } =
  {
    exp: ([x]) => [times(call('exp', x!))],
    log: ([x]) => [times(power(x!, -1))],
    log1p: ([x]) => [times(power(onePlus(x!), -1))],
    expm1: ([x]) => [times(call('exp', x!))],
    tanh: ([x]) => [times(oneMinus(power(call('tanh', x!), 2)))],
    sigmoid: ([x]) => [times(mul(call('sigmoid', x!), oneMinus(call('sigmoid', x!))))],
    softplus: ([x]) => [times(call('sigmoid', x!))],
    erf: ([x]) => [
      times(mul(number(2), power(constant('pi'), new Fraction(-1, 2)), call('exp', neg(power(x!, 2))))),
    ],
    sin: ([x]) => [times(call('cos', x!))],
    cos: ([x]) => [times(neg(call('sin', x!)))],
    abs: ([x]) => [times(call('sign', x!))], // 0 at 0
    relu: ([x]) => [where(compare('>', x!, number(0)))], // 0 at 0
    sign: () => [zero],
    floor: () => [zero],
    max: ([a, b]) => [takenBy('>', a!, b!), takenBy('>', b!, a!)],
    min: ([a, b]) => [takenBy('<', a!, b!), takenBy('<', b!, a!)],
    pow: ([a, b]) => [
      // a·0 is 0 even where aᵇ⁻¹ is infinite, and 0ᵇ does not grow with b
      (t) =>
        mask(
          compare('!=', b!, number(0)),
          mul(
            t,
            b!,
            call(
              'pow',
              a!,
              atom([
                [one, b!],
                [one, number(-1)],
              ]),
            ),
          ),
        ),
      (t) => mask(compare('!=', a!, number(0)), mul(t, call('pow', a!, b!), call('log', a!))),
    ],
    clamp: ([x, low, high]) => [
      where(and(compare('>=', x!, low!), compare('<=', x!, high!))), // 1 at both bounds
      where(and(compare('<', x!, low!), compare('<', low!, high!))),
      where(or(compare('>', x!, high!), compare('<', high!, low!))),
    ],
  };

/** The winner takes all, a tie is shared evenly. */
const takenBy =
  (wins: '<' | '>', a: Expr, b: Expr): Linear =>
  (t) =>
    add(mask(compare(wins, a, b), t), scale(new Fraction(1, 2), mask(compare('==', a, b), t)));

/** d amax(x) is shared evenly among the elements that attain it. */
function shareAmongTies(node: Node<'amax'> | Node<'amin'>, ct: Expr): Expr[] {
  const attained = compare('==', node.x, node);
  return [div(mask(attained, ct), sum(mask(attained, number(1)), node.over))];
}

/** One application of a row: what a node makes of its cotangent for one operand, as `explain` shows it. */
export interface VjpStep {
  readonly node: Expr;
  readonly operand: Expr;
  readonly ct: Expr;
  /** The operand's share, over the axes the node computes over. */
  readonly share: Expr;
  /** Axes along which the operand was repeated, over which its share is summed. */
  readonly over: Axes;
}

/**
 * The gradients of Σ ⟨cotangent, output⟩ with respect to `wrt`, each with the axes of its `wrt` or fewer (then it is
 * the same along the others). The share of an operand is summed over the axes along which it was repeated.
 */
export function vjp(
  outputs: readonly (readonly [Expr, Expr])[],
  wrt: readonly Expr[],
  onStep?: (step: VjpStep) => void,
): Expr[] {
  const cotangents = new Map<Expr, Expr[]>();
  const give = (node: Expr, ct: Expr): void => {
    if (isNumber(ct, 0)) return;
    const known = cotangents.get(node);
    if (known) known.push(ct);
    else cotangents.set(node, [ct]);
  };
  for (const [output, ct] of outputs) give(output, ct);
  const order = topological(outputs.map(([output]) => output));
  const live = dependents(order, wrt);
  const results = new Map<Expr, Expr>();
  for (const node of order.reverse()) {
    const received = cotangents.get(node);
    if (!received || !live.has(node)) continue;
    const ct = gather(...received);
    results.set(node, ct);
    if (wrt.includes(node)) continue;
    const rule = vjpRules[node.op] as VjpRule<Op>;
    const shares = rule(node as Node<Op>, ct);
    for (const [i, child] of children(node).entries()) {
      const share = shares[i];
      if (!share || !live.has(child)) continue;
      const over = difference(givenAxes(node), child.axes);
      onStep?.({ node, operand: child, ct, share, over });
      give(child, sum(share, over));
    }
  }
  return wrt.map((node) => results.get(node) ?? number(0));
}

/** The axes a node computes over, before any reduction of its own. */
const givenAxes = (node: Expr): Axes => ('over' in node ? node.x.axes : node.axes);

/** The nodes whose value depends on one of the roots. */
function dependents(order: readonly Expr[], roots: readonly Expr[]): Set<Expr> {
  const live = new Set<Expr>(roots);
  for (const node of order) {
    if (children(node).some((child) => live.has(child))) live.add(node);
  }
  return live;
}

/** The tangent of a node, given those of its children (undefined where zero). */
type JvpRule<K extends Op> = (node: Node<K>, tangents: readonly (Expr | undefined)[]) => Expr | undefined;

const still = (): undefined => undefined;
const given = (terms: readonly (Expr | undefined)[]): Expr => gather(...terms.filter((t) => t !== undefined));

/** A reduction other than a sum moves as the pairing of its gradient with the tangent. */
const paired = (
  node: Node<'amax' | 'amin' | 'prod' | 'var'>,
  [t]: readonly (Expr | undefined)[],
): Expr | undefined => {
  const [gradient] = (vjpRules[node.op] as VjpRule<Op>)(node, number(1));
  return t && gradient && sum(mul(gradient, t), node.over);
};

/** Forward mode: linear in the tangents, each of which is over the axes of its child or fewer. Undefined is zero. */
export const jvpRules: { readonly [K in Op]: JvpRule<K> } = {
  number: still,
  constant: still,
  truth: still,
  input: still,
  parameter: still,
  size: still,
  compare: still,
  and: still,
  or: still,
  not: still,
  stop: still,
  others: ({ x, along, among }, [t, ...ts]) =>
    given([
      t && others(x, [...along, t], among),
      ...ts.map((direction, i) => direction && others(x, along.with(i, direction), among)),
    ]),
  add: ({ terms }, ts) => linear(terms.flatMap(([c], i) => (ts[i] ? [[c, ts[i]] as const] : []))),
  mul: (node, ts) => given(node.factors.map((_, i) => ts[i] && mul(ts[i], slope(node, i)))),
  select: ({ test }, [, then, otherwise]) => select(test, then ?? number(0), otherwise ?? number(0)),
  call: ({ fn, args }, ts) => given(partials[fn](args).map((partial, i) => ts[i] && partial?.(ts[i]))),
  sum: ({ over }, [t]) => t && sum(t, over),
  mean: ({ over }, [t]) => t && div(sum(t, over), count(over)),
  var: paired,
  amax: paired,
  amin: paired,
  prod: paired,
};

/** The tangents of the outputs, each over its output's axes or fewer, given those of some nodes they depend on. */
export function jvp(outputs: readonly Expr[], tangents: ReadonlyMap<Expr, Expr>): Expr[] {
  const known = new Map<Expr, Expr>(tangents);
  for (const node of topological(outputs)) {
    if (known.has(node)) continue;
    const inner = children(node).map((child) => known.get(child));
    if (inner.every((t) => t === undefined)) continue;
    const t = (jvpRules[node.op] as JvpRule<Op>)(node as Node<Op>, inner);
    if (t && !isNumber(t, 0)) known.set(node, t);
  }
  return outputs.map((output) => known.get(output) ?? number(0));
}
