/** A program is what one call computes: outputs over inputs. Here each direction of a variant becomes one. */

import {
  type Axes,
  axesOf,
  difference,
  isStrictSubset,
  isSubset,
  overlaps,
  sameAxes,
} from '../graph/axes.ts';
import { add, and, compare, count, input, linear, number, rawMask, sum, truth } from '../graph/build.ts';
import { jvp, vjp } from '../graph/differentiate.ts';
import { children, type Expr, isReduction, type Term, topological } from '../graph/expr.ts';
import type { Forward } from '../graph/formulas.ts';
import { cut, finish } from '../graph/rebuild.ts';
import type { Role } from '../kernel/kernel.ts';
import type { Direction, Entry } from '../spec/spec.ts';
import { mustBeExact } from './stages.ts';

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

export function differentiable({ entry, variant }: Forward): Differentiable[] {
  return entry.arguments.flatMap((argument) => {
    if (argument.kind !== 'tensor' || !argument.differentiable) return [];
    if (!(variant.given.get(argument.name) ?? true)) return [];
    const { name, axes } = argument;
    return [{ name, axes, node: input('input', name, axes) }];
  });
}

/** The subsets of gradients that an entry generates, each in signature order. */
export function subsetsOf(entry: Entry, names: readonly string[]): string[][] {
  const inOrder = (subset: readonly string[]): string[] => names.filter((name) => subset.includes(name));
  const unique = (subsets: string[][]): string[][] => [
    ...new Map(
      subsets.filter((subset) => subset.length > 0).map((subset) => [subset.join(' '), subset]),
    ).values(),
  ];
  if (entry.wrt) return unique([...entry.wrt.map(inOrder), [...names]]);
  if (names.length > 4) return unique([...names.map((name) => [name]), [...names]]);
  const subsets = Array.from({ length: 2 ** names.length - 1 }, (_, bits) =>
    names.filter((_, i) => ((bits + 1) >> i) & 1),
  );
  return unique(subsets);
}

/** Every direction of one variant, and the forward with what the others need saved. */
export function programsOf(forward: Forward): Programs {
  const { entry } = forward;
  const order = (axes: Axes): string[] => entry.axes.filter((axis) => axes.includes(axis));
  const gradients = gradientsOf(forward);
  const wrt = differentiable(forward);
  const wants = (direction: Direction): boolean => entry.generate.includes(direction);
  const saved = savedValues(forward, order);

  const gradientOutputs = (subset: readonly string[]): ProgramOutput[] =>
    wrt
      .filter(({ name }) => subset.includes(name))
      .map(({ name, axes }) => ({
        role: 'gradient',
        of: name,
        axes,
        expr: saved.use(zeroOnEmpty(gradients.get(name)!)),
      }));
  const all = wrt.map(({ name }) => name);
  const backward = wants('backward')
    ? subsetsOf(entry, all).map(
        (subset): Program => ({ direction: 'backward', wrt: subset, outputs: gradientOutputs(subset) }),
      )
    : [];
  // for all gradients together: a cotangent that is left out is zero
  const double: Program[] =
    wants('double_backward') && all.length > 0
      ? [{ direction: 'double_backward', wrt: all, outputs: secondOutputs(all) }]
      : [];
  function secondOutputs(subset: readonly string[]): ProgramOutput[] {
    const { grads, inputs } = secondOf(forward, subset);
    return [
      ...forward.returns
        .filter(({ name }) => grads.has(name))
        .map(
          ({ name, axes }): ProgramOutput => ({
            role: 'second_cotangent',
            of: name,
            axes,
            expr: saved.use(zeroOnEmpty(grads.get(name)!)),
          }),
        ),
      ...wrt.map(
        ({ name, axes }): ProgramOutput => ({
          role: 'second',
          of: name,
          axes,
          expr: saved.use(zeroOnEmpty(inputs.get(name)!)),
        }),
      ),
    ];
  }
  const tangents = wants('jvp') ? tangentsOf(forward) : undefined;
  const tangentProgram: Program | undefined = tangents && {
    direction: 'jvp',
    wrt: [],
    outputs: forward.returns
      .filter(({ differentiable }) => differentiable)
      .map(({ name, axes }) => ({
        role: 'output_tangent',
        of: name,
        axes,
        expr: saved.use(tangents.get(name)!),
      })),
  };

  const outputs: ProgramOutput[] = [
    ...forward.returns.map(
      ({ name, axes, expr }): ProgramOutput => ({ role: 'output', of: name, axes, expr: finish([expr])[0]! }),
    ),
    ...forward.updates.map(
      ({ name, axes, expr }): ProgramOutput => ({ role: 'state', of: name, axes, expr: finish([expr])[0]! }),
    ),
    ...saved.outputs(),
  ];
  return {
    forward: { direction: 'forward', wrt: [], outputs },
    backward,
    ...(tangentProgram && { jvp: tangentProgram }),
    double_backward: double,
  };
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

/** That there is something to sum, for sums that something multiplies, or statistics of the same elements, or their number. */
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
    .map((r) => ({ over: difference(r.over, axes), isFactor: factors.includes(r) }));
  const isRisky = ({ over, isFactor }: (typeof summed)[number]): boolean =>
    isFactor || risks.some((risk) => overlaps(risk, over));
  const counts = [...new Set(summed.filter(isRisky).map(({ over }) => count(over)))];
  return counts.map((elements) => compare('>', elements, number(0))).reduce(and, truth(true));
}

const knownPrimal = new WeakMap<Expr, boolean>();

/** Whether an expression rests on nothing but the op's own inputs. */
function isPrimal(e: Expr): boolean {
  if (!knownPrimal.has(e)) {
    for (const node of topological([e]))
      knownPrimal.set(
        node,
        node.op === 'input' ? node.role === 'input' : children(node).every((child) => knownPrimal.get(child)),
      );
  }
  return knownPrimal.get(e)!;
}

interface SavedValues {
  /** The expression with what forward saves replaced by saved inputs, and finished. */
  readonly use: (expr: Expr) => Expr;
  /** What was saved and is not a return anyway. */
  readonly outputs: () => ProgramOutput[];
}

/**
 * Decides what forward saves: the results of reductions over the primal inputs, and of state, which a later call may
 * overwrite; never anything as large as the data.
 */
function savedValues(forward: Forward, order: (axes: Axes) => string[]): SavedValues {
  const returns = new Map<Expr, string>();
  for (const { name, expr, axes } of forward.returns) {
    const finished = finish([expr])[0]!;
    if (sameAxes(finished.axes, axes)) returns.set(finished, name);
  }
  const inner = new Map<Expr, string>();
  // arguments and returns keep their names to themselves
  const outer = new Set([...forward.entry.arguments, ...forward.returns].map(({ name }) => name));
  for (const [name, expr] of forward.scope) if (!outer.has(name)) inner.set(finish([expr])[0]!, name);
  const states = new Set(
    forward.entry.arguments.flatMap((a) => (a.kind === 'tensor' && a.state ? [a.name] : [])),
  );
  const taken = new Set([...forward.scope.keys(), ...forward.returns.map(({ name }) => name)]);
  const saved = new Map<Expr, ProgramOutput | undefined>();
  const nameOf = (expr: Expr): string => {
    const own = returns.get(expr) ?? inner.get(expr);
    if (own !== undefined) return own;
    let k = 1;
    while (taken.has(`saved_${k}`)) k++;
    taken.add(`saved_${k}`);
    return `saved_${k}`;
  };
  const names = new Map<Expr, string>();
  const choose = (e: Expr, asFactor: boolean): Expr | undefined => {
    if (e.op === 'mul' && !asFactor && !returns.has(e)) return undefined;
    if (!isSavable(e, states)) return undefined;
    const name = names.get(e) ?? nameOf(e);
    names.set(e, name);
    if (!saved.has(e)) {
      saved.set(e, returns.has(e) ? undefined : { role: 'saved', of: name, axes: order(e.axes), expr: e });
    }
    return input('saved', name, e.axes);
  };
  // a gradient is used by every subset that it belongs to
  const used = new Map<Expr, Expr>();
  const use = (expr: Expr): Expr => {
    const known = used.get(expr) ?? cut(finish([expr]), choose)[0]!;
    used.set(expr, known);
    return known;
  };
  return {
    use,
    outputs: () => [...saved.values()].filter((output) => output !== undefined),
  };
}

function isSavable(e: Expr, states: ReadonlySet<string>): boolean {
  if (e.type === 'bool' || !isPrimal(e)) return false;
  const inside = topological([e]);
  const reductions = inside.filter(isReduction);
  if (mustBeExact(e)) return false; // it is computed again
  if (reductions.length > 0) {
    const inputs = inside.filter((node) => node.op === 'input');
    return inputs.some((data) => isStrictSubset(e.axes, data.axes));
  }
  const state = inside.filter((node) => node.op === 'input' && states.has(node.of));
  return state.some((node) => isSubset(e.axes, node.axes));
}
