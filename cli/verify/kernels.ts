/** Generated kernels against the interpreter: every layout, direction and subset of gradients at one sample. */
import { subsetsOf } from '../../compiler/schedule/program.ts';
import type { Direction } from '../../compiler/spec/spec.ts';
import type { OpDescription } from '../../runtime/index.ts';
import { reasonOf } from '../io.ts';
import { type Engine, type NamedNumbers, type Session, startSession } from '../session.ts';
import { type Comparison, compareTensors } from './compare.ts';
import { type Data, type Graphs, only, roundingOf, type Target, valuesOf } from './reference.ts';
import type { Sample, Tensors } from './samples.ts';

export interface KernelCheck extends Comparison {
  readonly what: Direction;
  readonly tolerance: number;
  readonly details: string;
  readonly problem?: string;
}

/** Relative to the largest element. */
export const tolerances = {
  f64: { first: 1e-9, second: 1e-9 },
  f32: { first: 2e-5, second: 1e-4 },
} as const;

const unit = { f64: 2 ** -53, f32: 2 ** -24 };

const dataOf = (tensors: Tensors): NamedNumbers =>
  new Map([...tensors].map(([name, { data }]) => [name, data]));

/** Expected values are computed once for all targets and layouts. */
export interface Expected {
  readonly graphs: Graphs;
  readonly sample: Sample;
  readonly of: (
    what: Direction,
    wrt: readonly string[],
  ) => readonly (Target & { readonly value: readonly number[]; readonly data: Data })[];
}

export function expectedOf(graphs: Graphs, sample: Sample): Expected {
  const known = new Map<string, ReturnType<Expected['of']>>();
  const targets = {
    forward: graphs.outputs,
    backward: graphs.gradients,
    jvp: graphs.tangents,
    double_backward: graphs.second,
  };
  const compute = (what: Direction, wrt: readonly string[]) => {
    const data = what === 'double_backward' ? only(sample, wrt) : sample;
    const values = valuesOf(graphs, targets[what], sample, data);
    return targets[what].map((target, i) => ({ ...target, value: values[i]!, data }));
  };
  return {
    graphs,
    sample,
    of: (what, wrt) => {
      // Gradients do not depend on which others are wanted.
      const key = what === 'double_backward' ? `${what} ${wrt.join(' ')}` : what;
      const found = known.get(key) ?? compute(what, wrt);
      known.set(key, found);
      return found.filter(({ name }) => what !== 'backward' || wrt.includes(name));
    },
  };
}

/** Runs everything that was generated for the sample's variant. What cannot run is a check with a `problem`. */
export async function checkKernels(
  expected: Expected,
  op: OpDescription,
  engine: Engine,
  directions: readonly Direction[],
): Promise<KernelCheck[]> {
  const { graphs, sample } = expected;
  const { entry } = graphs.forward;
  const subsets = subsetsOf(
    entry,
    graphs.wrt.map(({ name }) => name),
  );
  const isDifferentiable = sample.cotangents.size > 0 && subsets.length > 0;
  const checks: KernelCheck[] = [];
  for (const order of entry.layouts) {
    const layout = order.join(' ');
    const attempt = async (
      what: Direction,
      wrt: readonly string[],
      run: () => Promise<NamedNumbers>,
    ): Promise<void> => {
      const place = [
        ...(wrt.length > 0 ? [`for ${wrt.join(', ')}`] : []),
        ...(entry.layouts.length > 1 ? [`layout ${layout}`] : []),
      ];
      try {
        checks.push(...compareAll(expected, engine, what, await run(), wrt, place));
      } catch (error) {
        checks.push(problemOf(what, place.join(', '), reasonOf(error)));
      }
    };
    let session: Session;
    try {
      session = await startSession(engine, op, sample.call, layout);
    } catch (error) {
      checks.push(problemOf('forward', `layout ${layout}`, reasonOf(error)));
      continue;
    }
    const cotangents = dataOf(sample.cotangents);
    const runs: { readonly [K in Direction]?: (wrt: readonly string[]) => Promise<NamedNumbers> } = {
      backward: (wrt) => session.gradients(cotangents, wrt),
      double_backward: (wrt) => session.second(cotangents, dataOf(pick(sample.cotangents2, wrt)), wrt),
    };
    await attempt('forward', [], session.outputs);
    for (const what of isDifferentiable ? directions : []) {
      const run = runs[what];
      if (run) for (const wrt of subsets) await attempt(what, wrt, () => run(wrt));
      if (what === 'jvp') await attempt(what, [], () => session.tangents(dataOf(sample.tangents)));
    }
    session.dispose();
  }
  return checks;
}

const pick = (tensors: Tensors, names: readonly string[]): Tensors =>
  new Map([...tensors].filter(([name]) => names.includes(name)));

/** A check that could not be made, and why. */
export const problemOf = <W extends string>(what: W, details: string, problem: string) => ({
  what,
  details,
  problem,
  error: Number.POSITIVE_INFINITY,
  tolerance: 0,
  at: 0,
  found: Number.NaN,
  expected: Number.NaN,
});

function compareAll(
  { graphs, sample, of }: Expected,
  { dtype }: Engine,
  what: Direction,
  found: NamedNumbers,
  wrt: readonly string[],
  place: readonly string[],
): KernelCheck[] {
  const tolerance = tolerances[dtype][what === 'double_backward' ? 'second' : 'first'];
  return of(what, wrt).map(({ value, data, ...target }) => {
    // A second-order gradient that no kernel writes is zero.
    const result = found.get(target.name) ?? value.map(() => (what === 'double_backward' ? 0 : Number.NaN));
    let comparison = compareTensors(result, value);
    if (comparison.error > tolerance) {
      const floor = (unit[dtype] * roundingOf(graphs, target, sample, data)) / tolerance;
      comparison = compareTensors(result, value, floor);
    }
    const sizes = [...sample.sizes].map(([axis, size]) => `${axis} = ${size}`).join(', ');
    return { ...comparison, what, tolerance, details: [target.name, ...place, sizes].join(', ') };
  });
}
