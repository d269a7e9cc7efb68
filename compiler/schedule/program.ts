/** A program is what one call computes: outputs over inputs. Here each direction of a variant becomes one. */

import { type Axes, axesOf, difference, orderOf, overlaps } from '../graph/axes.ts';
import { add, and, compare, count, input, linear, number, rawMask, sum, truth } from '../graph/build.ts';
import { jvp, vjp } from '../graph/differentiate.ts';
import { type Expr, isReduction, type Term, topological } from '../graph/expr.ts';
import type { Forward } from '../graph/formulas.ts';
import { settled } from '../graph/products.ts';
import { finish } from '../graph/rebuild.ts';
import type { Role } from '../kernel/kernel.ts';
import type { Direction, Entry } from '../spec/spec.ts';
import { isPrimal, type SavedValues, savedValues } from './saved.ts';

export interface ProgramOutput {
  readonly role: Role;
  /** The caller's name for it; for scratch, its own. */
  readonly of: string;
  /** In the entry's axis order. */
  readonly axes: readonly string[];
  /** May lack some of the axes, along which it is repeated. */
  readonly expr: Expr;
  /**
   * Ties are looked for in what is computed from it, so that whoever goes on with it takes what is stored, which may have
   * fewer digits than what was computed.
   */
  readonly isReadBack?: boolean;
}

export interface Program {
  readonly direction: Direction;
  readonly wrt: readonly string[];
  readonly outputs: readonly ProgramOutput[];
}

/** Whether code may be larger to be faster: training and inference run these all the time, the others are seldom asked for. */
export const isOptimised = (direction: Direction): boolean =>
  direction === 'forward' || direction === 'backward';

export interface Programs {
  readonly forward: Program;
  readonly backward: readonly Program[];
  readonly jvp?: Program;
  readonly double_backward: readonly Program[];
}

/** The gradients of every differentiable argument that is given, by name. */
export function gradientsOf(forward: Forward): Map<string, Expr> {
  const wrt = differentiable(forward);
  const outputs = cotangentsOf(forward).map(({ expr, ct }) => [expr, ct] as const);
  const gradients = vjp(
    outputs,
    wrt.map((argument) => argument.node),
  );
  return new Map(wrt.map(({ name }, i) => [name, gradients[i]!]));
}

/** The tangents of the differentiable returns, by name. */
export function tangentsOf(forward: Forward): Map<string, Expr> {
  const tangents = new Map(
    differentiable(forward).map(({ name, node, axes }) => [node, input('tangent', name, axes)]),
  );
  const returns = forward.returns.filter((output) => output.differentiable);
  const results = jvp(
    returns.map(({ expr }) => expr),
    tangents,
  );
  return new Map(returns.map(({ name }, i) => [name, results[i]!]));
}

/** The gradients of Σ ⟨cotangent2, gradient⟩ over `wrt`: for each return's cotangent and each argument. */
export function secondOf(
  forward: Forward,
  wrt: readonly string[],
): { grads: Map<string, Expr>; inputs: Map<string, Expr> } {
  const all = differentiable(forward);
  const cotangents = forward.returns.filter((output) => output.differentiable);
  const nodes = [
    ...cotangents.map(({ name, axes }) => input('cotangent', name, axes)),
    ...all.map(({ node }) => node),
  ];
  const results = vjp(weighedGradients(forward, wrt), nodes);
  return {
    grads: new Map(cotangents.map(({ name }, i) => [name, results[i]!])),
    inputs: new Map(all.map(({ name }, i) => [name, results[cotangents.length + i]!])),
  };
}

/** The gradients over `wrt`, each with its own cotangent, over the axes its expression has. */
export function weighedGradients(forward: Forward, wrt: readonly string[]): [Expr, Expr][] {
  const gradients = gradientsOf(forward);
  return differentiable(forward)
    .filter(({ name }) => wrt.includes(name))
    .map(({ name, axes }) => {
      const expr = gradients.get(name)!;
      return [expr, sumTo(input('cotangent2', name, axes), expr.axes)];
    });
}

/** An output with fewer axes than its cotangent is repeated along the others, so the cotangent is summed there. */
const sumTo = (ct: Expr, axes: Axes): Expr => sum(ct, difference(ct.axes, axes));

/** The differentiable returns with their cotangents, each over the axes its expression has. */
export function cotangentsOf(forward: Forward): { expr: Expr; ct: Expr }[] {
  return forward.returns
    .filter((output) => output.differentiable)
    .map(({ name, axes, expr }) => ({ expr, ct: sumTo(input('cotangent', name, axes), expr.axes) }));
}

/** An argument that can be differentiated by. */
export interface Differentiable {
  readonly name: string;
  readonly axes: readonly string[];
  readonly node: Expr;
}

/** The arguments of a variant that have gradients: given, neither state nor declared otherwise, in the signature's order. */
export function differentiable({ entry, variant }: Forward): Differentiable[] {
  return entry.arguments.flatMap((argument) => {
    if (argument.kind !== 'tensor' || !argument.differentiable) return [];
    if (!(variant.given.get(argument.name) ?? true)) return [];
    const { name, axes } = argument;
    return [{ name, axes, node: input('input', name, axes) }];
  });
}

/** The language has it that an entry of up to so many differentiable arguments generates all subsets of their gradients. */
const mostForAllSubsets = 4;

/** The subsets of gradients that an entry generates, each in signature order. */
export function subsetsOf(entry: Entry, names: readonly string[]): string[][] {
  const inOrder = (subset: readonly string[]): string[] => names.filter((name) => subset.includes(name));
  const unique = (subsets: string[][]): string[][] => [
    ...new Map(
      subsets.filter((subset) => subset.length > 0).map((subset) => [subset.join(' '), subset]),
    ).values(),
  ];
  if (entry.wrt) return unique([...entry.wrt.map(inOrder), [...names]]);
  if (names.length > mostForAllSubsets) return unique([...names.map((name) => [name]), [...names]]);
  const subsets = Array.from({ length: 2 ** names.length - 1 }, (_, bits) =>
    names.filter((_, i) => ((bits + 1) >> i) & 1),
  );
  return unique(subsets);
}

/** Every direction of one variant, and the forward with what the others need saved. */
export function programsOf(forward: Forward): Programs {
  const { entry } = forward;
  const wants = (direction: Direction): boolean => entry.generate.includes(direction);
  const saved = savedValues(forward, orderOf(entry.axes));
  const names = differentiable(forward).map(({ name }) => name);
  const backward = wants('backward') ? backwardPrograms(forward, subsetsOf(entry, names), saved) : [];
  // for all gradients together: a cotangent that is left out is zero
  const double =
    wants('double_backward') && names.length > 0 ? [doubleBackwardProgram(forward, names, saved)] : [];
  const tangents = wants('jvp') ? jvpProgram(forward, saved) : undefined;
  return {
    // after the others, since it saves what they use
    forward: forwardProgram(forward, saved),
    backward,
    ...(tangents && { jvp: tangents }),
    double_backward: double,
  };
}

/** One for each subset of the gradients. */
function backwardPrograms(
  forward: Forward,
  subsets: readonly (readonly string[])[],
  saved: SavedValues,
): Program[] {
  const gradients = gradientsOf(forward);
  const wrt = differentiable(forward);
  const outputOf = ({ name, axes }: Differentiable): ProgramOutput => ({
    role: 'gradient',
    of: name,
    axes,
    expr: saved.use(zeroOnEmpty(settled(gradients.get(name)!))),
  });
  return subsets.map((subset) => ({
    direction: 'backward',
    wrt: subset,
    outputs: wrt.filter(({ name }) => subset.includes(name)).map(outputOf),
  }));
}

function doubleBackwardProgram(forward: Forward, subset: readonly string[], saved: SavedValues): Program {
  const { grads, inputs } = secondOf(forward, subset);
  const outputs = [
    ...forward.returns
      .filter(({ name }) => grads.has(name))
      .map(
        ({ name, axes }): ProgramOutput => ({
          role: 'second_cotangent',
          of: name,
          axes,
          expr: saved.use(zeroOnEmpty(settled(grads.get(name)!))),
        }),
      ),
    ...differentiable(forward).map(
      ({ name, axes }): ProgramOutput => ({
        role: 'second',
        of: name,
        axes,
        expr: saved.use(zeroOnEmpty(settled(inputs.get(name)!))),
      }),
    ),
  ];
  return { direction: 'double_backward', wrt: subset, outputs };
}

function jvpProgram(forward: Forward, saved: SavedValues): Program {
  const tangents = tangentsOf(forward);
  const outputs = forward.returns
    .filter(({ differentiable }) => differentiable)
    .map(
      ({ name, axes }): ProgramOutput => ({
        role: 'output_tangent',
        of: name,
        axes,
        expr: saved.use(settled(tangents.get(name)!)),
      }),
    );
  return { direction: 'jvp', wrt: [], outputs };
}

/** The outputs of forward, and what was saved by then. */
function forwardProgram({ returns, updates }: Forward, saved: SavedValues): Program {
  const outputs = [
    ...returns.map(
      ({ name, axes, expr }): ProgramOutput => ({ role: 'output', of: name, axes, expr: finish([expr])[0]! }),
    ),
    ...updates.map(
      ({ name, axes, expr }): ProgramOutput => ({ role: 'state', of: name, axes, expr: finish([expr])[0]! }),
    ),
    ...saved.outputs(),
  ];
  return { direction: 'forward', wrt: [], outputs };
}

/** A gradient summed over no elements is zero, also where something that is not finite multiplies the sum. */
export function zeroOnEmpty(gradient: Expr): Expr {
  if (gradient.op !== 'add' || gradient.atom) return guarded(gradient, guardOf(gradient, gradient.axes));
  const terms = new Map<Expr, Term[]>([[truth(true), [[gradient.constant, number(1)]]]]);
  for (const term of gradient.terms) {
    const guard = guardOf(term[1], gradient.axes);
    terms.set(guard, [...(terms.get(guard) ?? []), term]);
  }
  return add(...[...terms].map(([guard, members]) => guarded(linear(members), guard)));
}

const guarded = (e: Expr, guard: Expr): Expr => (guard.op === 'truth' ? e : rawMask(guard, e));

/**
 * That there is something to sum, for sums that are factors of a product, or that may be multiplied by statistics of the
 * same elements or their number.
 */
function guardOf(e: Expr, axes: Axes): Expr {
  const nodes = topological([e]);
  const reductions = nodes.filter(isReduction);
  const divisors = nodes.flatMap((n) =>
    n.op === 'mul'
      ? n.factors.flatMap(([f, power]) => (f.op === 'size' && power.s < 0n ? [f.axis] : []))
      : [],
  );
  const risks: Axes[] = [axesOf(divisors), ...reductions.filter(isPrimal).map(({ over }) => over)];
  const factors = e.op === 'mul' ? e.factors.map(([factor]) => factor) : [];
  const summed = reductions
    .filter((r) => !isPrimal(r))
    // without elements along its own axes there is no gradient at all
    .map((r) => ({ over: difference(r.over, axes), isFactor: factors.length > 1 && factors.includes(r) }));
  const isRisky = ({ over, isFactor }: (typeof summed)[number]): boolean =>
    isFactor || risks.some((risk) => overlaps(risk, over));
  const counts = [...new Set(summed.filter(isRisky).map(({ over }) => count(over)))];
  return counts.map((elements) => compare('>', elements, number(0))).reduce(and, truth(true));
}
