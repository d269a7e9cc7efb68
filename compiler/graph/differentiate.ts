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
  input,
  isNumber,
  linear,
  mask,
  mul,
  neg,
  not,
  number,
  one,
  or,
  power,
  product,
  reduce,
  scale,
  select,
  sum,
} from './build.ts';
import { type Call, children, type Expr, Fraction, type Node, type Op, topological } from './expr.ts';
import { transform } from './rebuild.ts';

/** The cotangent of each child, in the order of `children`, given a node and the cotangent of its value. */
type VjpRule<K extends Op> = (node: Node<K>, ct: Expr) => readonly (Expr | undefined)[];

const none = (node: Expr): undefined[] => children(node).map(() => undefined);

const reductionVjp = {
  sum: (_: Expr, ct: Expr) => [ct], // the transpose of a sum is a broadcast
  mean: ({ over }: Node<'mean'>, ct: Expr) => [div(ct, count(over))],
  var: ({ x, over }: Node<'var'>, ct: Expr) => [scale(2, div(mul(ct, centred(x, over)), count(over)))],
  amax: shareAmongTies,
  amin: shareAmongTies,
  prod: (node: Node<'prod'>, ct: Expr) =>
    hasNoZero(node.x) ? [div(mul(ct, node), node.x)] : [mul(ct, slopeOfPolynomial(node))],
};

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

/** The derivative of Π x by each factor: of a variable that stands for them, since parts of x move when it is built. */
function slopeOfPolynomial({ x, over }: Node<'prod'>): Expr {
  const factor = input('scratch', 'factor', x.axes);
  const [slope] = vjp([[productPolynomial(factor, over), number(1)]], [factor]);
  return transform([slope!], (e) => (e === factor ? x : e))[0]!;
}

/**
 * Π x as a function that can be differentiated four times even where factors are zero. The factors that are zero
 * where it is evaluated are gathered in z = Π x over them, which is the elementary symmetric polynomial of as many
 * variables as there are zeros (Newton's identities from power sums); the product of the others has no zero.
 */
function productPolynomial(x: Expr, over: Axes): Expr {
  const isZero = compare('==', x, number(0));
  const others = reduce('prod', select(isZero, number(1), x), over);
  const zeros = sum(mask(isZero, number(1)), over);
  const powerSum = (k: number): Expr => sum(mask(isZero, power(x, k)), over);
  const elementary: Expr[] = [number(1)];
  for (let k = 1; k <= 4; k++) {
    const terms = Array.from({ length: k }, (_, i) =>
      scale(i % 2 === 0 ? 1 : -1, mul(elementary[k - 1 - i]!, powerSum(i + 1))),
    );
    elementary.push(scale(new Fraction(1, k), add(...terms)));
  }
  const z = elementary.reduceRight(
    (otherwise, e, k) => select(compare('==', zeros, number(k)), e, otherwise),
    number(0),
  );
  return mul(others, z);
}

/** `y == 0 ? 1 : y` */
const hasNoZero = (x: Expr): boolean =>
  x.op === 'select' &&
  x.test.op === 'compare' &&
  x.test.fn === '==' &&
  x.test.a === x.else &&
  isNumber(x.test.b, 0) &&
  isNumber(x.then, 1);

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
    const ct = add(...received);
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
const given = (terms: readonly (Expr | undefined)[]): Expr => add(...terms.filter((t) => t !== undefined));

/** A reduction other than a sum moves as the pairing of its gradient with the tangent. */
const paired = (
  node: Node<'amax' | 'amin' | 'prod' | 'var'>,
  [t]: readonly (Expr | undefined)[],
): Expr | undefined => {
  const [gradient] = (vjpRules[node.op] as VjpRule<Op>)(node, number(1));
  return t && gradient && sum(mul(gradient, t), node.over);
};

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

/** The tangents of the outputs, given those of some nodes they depend on. */
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
