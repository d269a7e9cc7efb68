/** Generated kernels against the interpreter: every layout, direction and subset of gradients at one sample. */
import { subsetsOf } from '../../compiler/schedule/program.ts';
import type { Direction } from '../../compiler/spec/spec.ts';
import type { OpDescription } from '../../runtime/index.ts';
import { type Engine, type NamedNumbers, type Session, startSession } from '../session.ts';
import { type Comparison, compareTensors } from './compare.ts';
import { type Data, type Graphs, only, roundingOf, type Target, valuesOf } from './reference.ts';
import type { Sample, Tensors } from './samples.ts';

export interface KernelCheck extends Comparison {
  readonly what: Direction;
  readonly tolerance: number;
  readonly details: string;
}

/** Relative to the largest element. */
export const tolerances = {
  f64: { first: 1e-9, second: 1e-9 },
  f32: { first: 2e-5, second: 1e-4 },
} as const;

const unit = { f64: 2 ** -53, f32: 2 ** -24 };

export const dataOf = (tensors: Tensors): NamedNumbers =>
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

/** Runs everything that was generated for the sample's variant. Rejects where a kernel cannot run. */
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
  const [cotangents, tangents, cotangents2] = [sample.cotangents, sample.tangents, sample.cotangents2].map(
    dataOf,
  ) as [NamedNumbers, NamedNumbers, NamedNumbers];
  const canDifferentiate = cotangents.size > 0 && subsets.length > 0;
  const checks: KernelCheck[] = [];
  for (const order of entry.layouts) {
    const layout = order.join(' ');
    const session = await startSession(engine, op, sample.call, layout);
    const add = (what: Direction, found: NamedNumbers, wrt: readonly string[] = []): void => {
      const place = [
        ...(wrt.length > 0 ? [`for ${wrt.join(', ')}`] : []),
        ...(entry.layouts.length > 1 ? [`layout ${layout}`] : []),
      ];
      checks.push(...compareAll(expected, engine, what, found, wrt, place));
    };
    try {
      add('forward', await session.outputs());
      if (!canDifferentiate) continue;
      for (const wrt of subsets) {
        if (directions.includes('backward')) add('backward', await session.gradients(cotangents, wrt), wrt);
        if (directions.includes('double_backward'))
          add('double_backward', await secondOf(session, cotangents, cotangents2, wrt), wrt);
      }
      if (directions.includes('jvp')) add('jvp', await session.tangents(tangents));
    } finally {
      session.dispose();
    }
  }
  return checks;
}

const secondOf = (
  session: Session,
  cotangents: NamedNumbers,
  cotangents2: NamedNumbers,
  wrt: readonly string[],
) => session.second(cotangents, new Map([...cotangents2].filter(([name]) => wrt.includes(name))), wrt);

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
