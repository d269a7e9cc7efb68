/** What every target must compute: the derived graphs of a variant, evaluated in f64. */
import { input } from '../../compiler/graph/build.ts';
import type { Expr } from '../../compiler/graph/expr.ts';
import { type Forward, lowerEntry } from '../../compiler/graph/formulas.ts';
import { arrange, interpret, type Value } from '../../compiler/graph/interpret.ts';
import { cut } from '../../compiler/graph/rebuild.ts';
import { differentiable, gradientsOf, secondOf, tangentsOf } from '../../compiler/schedule/program.ts';
import type { Entry, Variant } from '../../compiler/spec/spec.ts';
import { evaluate } from '../evaluate.ts';
import { rounding } from './rounding.ts';
import type { Sample, Tensors } from './samples.ts';

/** A tensor that a direction computes. */
export interface Target {
  readonly name: string;
  readonly axes: readonly string[];
  readonly expr: Expr;
}

export interface Graphs {
  readonly forward: Forward;
  readonly wrt: readonly { readonly name: string; readonly axes: readonly string[] }[];
  /** Returns, then updated states. */
  readonly outputs: readonly Target[];
  readonly gradients: readonly Target[];
  readonly tangents: readonly Target[];
  /** Of cotangents as `grad_RETURN`, then of arguments. */
  readonly second: readonly Target[];
}

export function graphsOf(entry: Entry, variant: Variant): Graphs {
  const forward = lowerEntry(entry, variant);
  const wrt = differentiable(forward);
  const returns = forward.returns.filter((output) => output.differentiable);
  const [gradients, tangents] = [gradientsOf(forward), tangentsOf(forward)];
  const { grads, inputs } = secondOf(
    forward,
    wrt.map(({ name }) => name),
  );
  const from = (of: readonly { name: string; axes: readonly string[] }[], exprs: ReadonlyMap<string, Expr>) =>
    of.map(({ name, axes }): Target => ({ name, axes, expr: exprs.get(name)! }));
  return {
    forward,
    wrt,
    outputs: [...forward.returns, ...forward.updates],
    gradients: from(wrt, gradients),
    tangents: from(returns, tangents),
    second: [
      ...from(returns, grads).map((target) => ({ ...target, name: `grad_${target.name}` })),
      ...from(wrt, inputs),
    ],
  };
}

const roles: { readonly [role: string]: 'inputs' | 'cotangents' | 'tangents' | 'cotangents2' } = {
  input: 'inputs',
  cotangent: 'cotangents',
  tangent: 'tangents',
  cotangent2: 'cotangents2',
};

/** The data of a sample, with some tensors replaced. */
export type Data = Pick<Sample, 'inputs' | 'cotangents' | 'tangents' | 'cotangents2'>;

const find = (data: Data, role: string, of: string): Value<number> => data[roles[role]!].get(of)!;

/** Evaluates targets in f64, each row-major in its own axis order; `stop_gradient` stays as at the sample. */
export function valuesOf(
  { forward }: Graphs,
  targets: readonly Target[],
  sample: Sample,
  data: Data = sample,
): number[][] {
  const { roots, held } = holdStops(targets.map(({ expr }) => expr));
  const at = evaluate(forward, [...held.values()], sample.numbers, (role, of) => find(sample, role, of));
  const stopped = new Map([...held.keys()].map((name, i) => [name, at[i]!]));
  const values = evaluate(
    forward,
    roots,
    sample.numbers,
    (role, of) => stopped.get(of) ?? find(data, role, of),
  );
  return targets.map(({ axes }, i) => [...arrange(values[i]!, axes, sample.sizes).data]);
}

/** Puts inputs in the place of what no gradient flows through, which differences must therefore hold still. */
export function holdStops(exprs: readonly Expr[]): {
  readonly roots: readonly Expr[];
  readonly held: ReadonlyMap<string, Expr>;
} {
  const held = new Map<string, Expr>();
  const roots = cut(exprs, (e) => {
    if (e.op !== 'stop') return undefined;
    const name = `stop ${e.id}`;
    held.set(name, e);
    return input('saved', name, e.axes);
  });
  return { roots, held };
}

/** A bound on what rounding does to a target, in units of the rounding. */
export function roundingOf(
  { forward }: Graphs,
  { expr }: Target,
  sample: Sample,
  data: Data = sample,
): number {
  const exact = (value: number) => ({ value, error: 0 });
  const attributes = Object.entries(sample.numbers).filter(([name]) => !forward.entry.axes.includes(name));
  const bindings = {
    sizes: sample.sizes,
    parameters: new Map(attributes.map(([name, value]) => [name, exact(value)])),
    input: ({ role, of }: { role: string; of: string }) => {
      const { axes, data: elements } = find(data, role, of);
      return { axes, data: elements.map(exact) };
    },
  };
  const [result] = interpret([expr], bindings, rounding);
  return result!.data.reduce((most, { error }) => (Number.isFinite(error) ? Math.max(most, error) : most), 0);
}

/** The sample with the cotangents of some gradients zero: those of which nothing is asked. */
export function only(sample: Sample, wrt: readonly string[]): Data {
  const blank = ([name, value]: [string, Value<number>]): [string, Value<number>] =>
    wrt.includes(name) ? [name, value] : [name, { axes: value.axes, data: value.data.map(() => 0) }];
  const cotangents2: Tensors = new Map([...sample.cotangents2].map(blank));
  return { ...sample, cotangents2 };
}
