/** The names of the rows of the derivative tables, and the identities they rest on. */

import type { VjpStep } from '../graph/differentiate.ts';
import type { Call, Expr, Fraction, Node, Op } from '../graph/expr.ts';

export interface RuleName {
  readonly name: string;
  /** Of differentials: forward mode as it stands. */
  readonly identity: string;
  /** What reverse mode makes of it, where that is not plain from the identity. */
  readonly transposed?: string;
}

const rule = (name: string, identity: string, transposed?: string): RuleName => ({
  name,
  identity,
  ...(transposed !== undefined && { transposed }),
});
const constantRule = rule('constant', 'dk = 0');

/** What a row of the table of functions states. */
const callRules: { readonly [K in Call]: RuleName } = {
  exp: rule('exponential', 'd exp(a) = exp(a) da'),
  log: rule('logarithm', 'd log(a) = da / a'),
  log1p: rule('logarithm of 1 + a', 'd log1p(a) = da / (1 + a)'),
  expm1: rule('exponential less 1', 'd expm1(a) = exp(a) da'),
  tanh: rule('hyperbolic tangent', 'd tanh(a) = (1 − tanh(a)²) da'),
  sigmoid: rule('sigmoid', 'd sigmoid(a) = sigmoid(a) (1 − sigmoid(a)) da'),
  softplus: rule('softplus', 'd softplus(a) = sigmoid(a) da'),
  erf: rule('error function', 'd erf(a) = 2/√π exp(−a²) da'),
  sin: rule('sine', 'd sin(a) = cos(a) da'),
  cos: rule('cosine', 'd cos(a) = −sin(a) da'),
  abs: rule('absolute value', 'd |a| = sign(a) da, 0 at 0'),
  sign: rule('sign', 'constant almost everywhere'),
  floor: rule('floor', 'constant almost everywhere'),
  relu: rule('relu', 'd relu(a) = [a > 0] da, 0 at 0'),
  min: rule('minimum', 'the lesser passes it on; a tie is shared evenly'),
  max: rule('maximum', 'the greater passes it on; a tie is shared evenly'),
  pow: rule('power', 'd aᵇ = b aᵇ⁻¹ da + aᵇ log(a) db'),
  clamp: rule('clamp', 'passed on between the bounds, both included'),
};

const powers: { readonly [exponent: string]: RuleName } = {
  '1': rule('product', 'd(k·a) = k da'),
  '2': rule('square', 'd a² = 2a da'),
  '1/2': rule('square root', 'd√a = da / (2√a)'),
  '-1': rule('quotient', 'd(k/a) = −(k/a) da / a'),
  '-1/2': rule('reciprocal square root', 'd(1/√a) = −½ (1/√a)³ da'),
};

const powerRule = (p: Fraction | undefined): RuleName =>
  powers[p?.toFraction() ?? '1'] ?? rule('power', 'd aᵖ = p aᵖ⁻¹ da');

/** What a row of the table of nodes states, of the operand it is applied to. */
const nodeRules: { readonly [K in Op]: (node: Node<K>, operand: Expr) => RuleName } = {
  number: () => constantRule,
  constant: () => constantRule,
  truth: () => constantRule,
  input: () => constantRule,
  parameter: () => constantRule,
  size: () => constantRule,
  compare: () => rule('comparison', 'constant almost everywhere'),
  and: () => constantRule,
  or: () => constantRule,
  not: () => constantRule,
  stop: () => rule('stop', 'no gradient flows through stop_gradient'),
  add: () => rule('addition', 'd(a ± b) = da ± db'),
  mul: ({ factors }, operand) => powerRule(factors.find(([f]) => f === operand)?.[1]),
  call: ({ fn }) => callRules[fn],
  select: () => rule('choice', 'only the branch taken passes it on'),
  sum: () => rule('sum', 'd Σa = Σ da', 'the transpose of a sum is a broadcast'),
  mean: () => rule('mean', 'd mean(a) = mean(da)', 'the transpose of a mean is a broadcast, over the count'),
  var: () => rule('variance', 'd var(a) = 2 mean((a − mean a) da)'),
  amax: () => rule('greatest element', 'shared evenly among the elements that attain it'),
  amin: () => rule('least element', 'shared evenly among the elements that attain it'),
  prod: () => rule('product over axes', 'd Πa = Σ others(a) da, each the product of the other factors'),
  others: ({ x }, operand) =>
    operand === x
      ? rule('product of others', 'd others(a) = others(a, da), Σ da Π of the factors left')
      : rule('product of others', 'd others(a, b) = others(a, db)'),
};

/** The row that was used on a node for one of its operands. */
export const ruleOf = ({ node, operand }: Pick<VjpStep, 'node' | 'operand'>): RuleName =>
  (nodeRules[node.op] as (node: Expr, operand: Expr) => RuleName)(node, operand);
