/** The order at which difference quotients converge to what is derived, at 64 digits: 2 for central ones, or it is wrong. */
import type { Expr } from '../../compiler/graph/expr.ts';
import { arrange, interpret, type Value } from '../../compiler/graph/interpret.ts';
import { type Digits, decimal } from '../../compiler/prove/decimal.ts';
import type { Direction } from '../../compiler/spec/spec.ts';
import { type Data, type Graphs, holdStops, type Target } from './reference.ts';
import type { Sample, Tensors } from './samples.ts';

/** One difference quotient. */
export interface Quotient {
  readonly step: number;
  /** Its relative distance from the derived slope. */
  readonly error: number;
}

export interface Convergence {
  readonly what: Direction;
  /** Between the last two steps; infinite where the quotients are exact but for rounding. */
  readonly order: number;
  readonly sweep: readonly Quotient[];
}

/** Far from rounding, which at 64 digits begins near 1e-30, and mostly too small to step over a kink. */
const steps = [1e-4, 1e-6, 1e-8, 1e-10];
/** What order 2 leaves at the last step is near 1e-20; what rounding does, 1e-54 times what cancels. */
const nothing = 1e-40;

/** What is less than this is not order 2. */
export const leastOrder = 1.9;

/** A scalar of the data, and its derivative along the sample's tangents as it is derived. */
interface Slope {
  readonly what: Direction;
  readonly scalar: (data: Exact) => Digits;
  readonly derived: Digits;
  readonly along: readonly Place[];
}

type Place = 'inputs' | 'cotangents';
type Exact = { readonly [K in keyof Data]: ReadonlyMap<string, Value<Digits>> };

/** Backward, forward mode and double backward, each along one random direction through everything at once. */
export function convergenceOf(graphs: Graphs, sample: Sample): Convergence[] {
  if (graphs.gradients.length === 0 || graphs.tangents.length === 0) return [];
  return slopesOf(graphs, sample).map((slope) => sweepOf(slope, sample));
}

function slopesOf(graphs: Graphs, sample: Sample): Slope[] {
  const at = exactly(sample);
  const paired = (targets: readonly Target[], weights: Tensors) => {
    const weightOf = exactTensors(weights);
    return (data: Exact): Digits => pairing(evaluated(graphs, targets, sample, data), weightOf);
  };
  const returns = graphs.outputs.filter(({ name }) => sample.cotangents.has(name));
  const objective = paired(returns, sample.cotangents);
  const second = paired(graphs.gradients, sample.cotangents2);
  const cotangentTangents = new Map([...sample.cotangents].map(([name, value]) => [`grad_${name}`, value]));
  return [
    {
      what: 'backward',
      scalar: objective,
      derived: paired(graphs.gradients, sample.tangents)(at),
      along: ['inputs'],
    },
    {
      what: 'jvp',
      scalar: objective,
      derived: paired(graphs.tangents, sample.cotangents)(at),
      along: ['inputs'],
    },
    {
      what: 'double_backward',
      scalar: second,
      derived: paired(graphs.second, new Map([...sample.tangents, ...cotangentTangents]))(at),
      along: ['inputs', 'cotangents'],
    },
  ];
}

function sweepOf({ what, scalar, derived, along }: Slope, sample: Sample): Convergence {
  const at = exactly(sample);
  const scale = [derived, scalar(at)].reduce(
    (most, value) => (value.abs().gt(most) ? value.abs() : most),
    decimal.number(1e-9),
  );
  const sweep = steps.map((step): Quotient => {
    const h = decimal.number(step);
    const [right, left] = [scalar(moved(at, sample, along, h)), scalar(moved(at, sample, along, h.neg()))];
    const quotient = right.sub(left).div(h.mul(2));
    return { step, error: quotient.sub(derived).abs().div(scale).toNumber() };
  });
  const [before, last] = sweep.slice(-2) as [Quotient, Quotient];
  const order =
    last.error < nothing
      ? Number.POSITIVE_INFINITY
      : Math.log(before.error / last.error) / Math.log(before.step / last.step);
  return { what, order, sweep };
}

/** Arguments move along their tangents, cotangents along themselves. */
function moved(at: Exact, sample: Sample, along: readonly Place[], step: Digits): Exact {
  const shift = (place: Place, directions: Tensors): Exact[Place] =>
    along.includes(place)
      ? new Map(
          [...at[place]].map(([name, { axes, data }]) => {
            const direction = directions.get(name);
            if (!direction) return [name, { axes, data }];
            return [name, { axes, data: data.map((x, i) => x.add(step.mul(direction.data[i]!))) }];
          }),
        )
      : at[place];
  return {
    ...at,
    inputs: shift('inputs', sample.tangents),
    cotangents: shift('cotangents', sample.cotangents),
  };
}

const exactTensors = (tensors: Tensors): ReadonlyMap<string, Value<Digits>> =>
  new Map([...tensors].map(([name, { axes, data }]) => [name, { axes, data: data.map(decimal.number) }]));

const exactly = ({ inputs, cotangents, tangents, cotangents2 }: Sample): Exact => ({
  inputs: exactTensors(inputs),
  cotangents: exactTensors(cotangents),
  tangents: exactTensors(tangents),
  cotangents2: exactTensors(cotangents2),
});

const places: { readonly [role: string]: keyof Exact } = {
  input: 'inputs',
  cotangent: 'cotangents',
  tangent: 'tangents',
  cotangent2: 'cotangents2',
};

/** Targets by name, each row-major in its own axis order. */
function evaluated(
  { forward }: Graphs,
  targets: readonly Target[],
  sample: Sample,
  data: Exact,
): ReadonlyMap<string, readonly Digits[]> {
  const numbers = Object.entries(sample.numbers).filter(([name]) => !forward.entry.axes.includes(name));
  const { roots, held } = holdStops(targets.map(({ expr }) => expr));
  const interpreted = (
    exprs: readonly Expr[],
    from: Exact,
    stopped: ReadonlyMap<string, Value<Digits>> = new Map(),
  ): Value<Digits>[] => {
    const bindings = {
      sizes: sample.sizes,
      parameters: new Map(numbers.map(([name, value]) => [name, decimal.number(value)])),
      input: ({ role, of }: Extract<Expr, { op: 'input' }>) =>
        stopped.get(of) ?? from[places[role]!].get(of)!,
    };
    return interpret(exprs, bindings, decimal);
  };
  const still = interpreted([...held.values()], exactly(sample));
  const values = interpreted(roots, data, new Map([...held.keys()].map((name, i) => [name, still[i]!])));
  return new Map(targets.map(({ name, axes }, i) => [name, arrange(values[i]!, axes, sample.sizes).data]));
}

const pairing = (
  values: ReadonlyMap<string, readonly Digits[]>,
  weights: ReadonlyMap<string, Value<Digits>>,
): Digits =>
  [...values].reduce(
    (total, [name, data]) => data.reduce((sum, x, i) => sum.add(x.mul(weights.get(name)!.data[i]!)), total),
    decimal.number(0),
  );
