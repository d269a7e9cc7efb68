/** The derived graphs against finite differences of the forward, all evaluated in f64. */
import type { Value } from '../../compiler/graph/interpret.ts';
import { type Comparison, compareTensors } from './compare.ts';
import { derivative, firstSteps } from './differences.ts';
import { createRandom } from './random.ts';
import { type Data, type Graphs, roundingOf, type Target, valuesOf } from './reference.ts';
import type { Sample, Tensors } from './samples.ts';

export interface DerivationCheck extends Comparison {
  readonly what: 'backward' | 'jvp' | 'double_backward';
  readonly details: string;
}

/** A direction in which the difference quotients do not settle: a kink is too near, so try another sample. */
export class NotSmooth extends Error {}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((total, x, i) => total + x * b[i]!, 0);
const norm = (a: readonly number[]): number => Math.sqrt(dot(a, a));
const largest = (a: readonly number[]): number => a.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** Below this part of the function's own size an exact derivative of 0 cannot be told from a small one. */
const visible = 1e-4;
/** The size of a tensor whose rounding alone reaches the tolerance of 1e-6. */
const grainOf = (graphs: Graphs, target: Target, sample: Sample): number =>
  (2 ** -53 * roundingOf(graphs, target, sample)) / 1e-6;

/** What the estimated error of a difference quotient may be, relative to what it is compared with. */
const settled = 1e-8;

/**
 * The size of a slope at which difference quotients settle in spite of the rounding of the function: where what it adds
 * up cancels, as softmax summed over its axis does, that is all there is of it.
 */
const noiseOf = (rounding: number): number => (2 ** -53 * rounding) / (settled * firstSteps[0]);

type Place = 'inputs' | 'cotangents';

/** The data with one tensor moved along a direction. */
function moved(sample: Sample, place: Place, name: string, direction: readonly number[], step: number): Data {
  const { axes, data } = sample[place].get(name)!;
  const there: Value<number> = { axes, data: data.map((x, i) => x + step * direction[i]!) };
  return { ...sample, [place]: new Map([...sample[place], [name, there]]) };
}

/** Compares slopes; those below a part of `floor` count as zero. */
function compareSlope(
  f: (step: number) => readonly number[],
  slope: readonly number[],
  scale: number,
  floor: number,
): Comparison {
  const size = Math.max(scale, visible * floor);
  const { value, error } = derivative(f, settled * size * 0.1);
  if (!(error <= settled * size * 10)) throw new NotSmooth();
  return compareTensors(slope, value, size);
}

/** The gradient of a scalar in several places: along one random direction each, or with `isElementwise` along every axis. */
function compareGradient(
  scalar: (data: Data) => number,
  gradient: readonly number[],
  { sample, place, name, floor, seed, isElementwise }: Gradient,
): Comparison {
  const along = (direction: readonly number[]) => (step: number) => [
    scalar(moved(sample, place, name, direction, step)),
  ];
  if (!isElementwise) {
    const direction = createRandom(seed).normals(gradient.length);
    return compareSlope(along(direction), [dot(gradient, direction)], norm(gradient), floor);
  }
  const each = gradient.map((element, at) => {
    const unit = gradient.map((_, i) => (i === at ? 1 : 0));
    return { ...compareSlope(along(unit), [element], largest(gradient), floor), at };
  });
  return each.reduce(
    (worst, one) => (one.error > worst.error ? one : worst),
    each[0] ?? compareTensors([], []),
  );
}

interface Gradient {
  readonly sample: Sample;
  readonly place: Place;
  readonly name: string;
  readonly floor: number;
  readonly seed: string;
  readonly isElementwise: boolean;
}

/** Σ ⟨weights, targets⟩, and below what part of it slopes count as zero: what it would be if nothing cancelled. */
function pairing(graphs: Graphs, targets: readonly Target[], weights: Tensors, sample: Sample) {
  const weightOf = ({ name }: Target) => weights.get(name)!.data;
  const terms = (data: Data): number[] =>
    valuesOf(graphs, targets, sample, data).map((value, i) => dot(value, weightOf(targets[i]!)));
  let [size, rounding] = [0, 0];
  for (const [i, value] of valuesOf(graphs, targets, sample).entries()) {
    const target = targets[i]!;
    const weight = weightOf(target).map(Math.abs);
    size += dot(value.map(Math.abs), weight);
    rounding += roundingOf(graphs, target, sample) * weight.reduce((a, b) => a + b, 0);
  }
  return {
    scalar: (data: Data) => terms(data).reduce((a, b) => a + b, 0),
    floor: Math.max(size, noiseOf(rounding) / visible),
  };
}

/** Every derived direction at one sample. Throws `NotSmooth` where a difference quotient does not settle. */
export function checkDerivation(graphs: Graphs, sample: Sample, isElementwise: boolean): DerivationCheck[] {
  if (graphs.gradients.length === 0 || graphs.tangents.length === 0) return [];
  return [
    ...checkGradients(graphs, sample, isElementwise),
    ...checkTangents(graphs, sample),
    ...checkSecond(graphs, sample),
  ];
}

function checkGradients(graphs: Graphs, sample: Sample, isElementwise: boolean): DerivationCheck[] {
  const returns = graphs.outputs.filter(({ name }) => sample.cotangents.has(name));
  const { scalar, floor } = pairing(graphs, returns, sample.cotangents, sample);
  const gradients = valuesOf(graphs, graphs.gradients, sample);
  return graphs.wrt.map(({ name }, i) => {
    const at = {
      sample,
      place: 'inputs',
      name,
      floor: Math.max(floor, grainOf(graphs, graphs.gradients[i]!, sample) / visible),
      seed: name,
      isElementwise,
    } as const;
    return { ...compareGradient(scalar, gradients[i]!, at), what: 'backward', details: name };
  });
}

function checkTangents(graphs: Graphs, sample: Sample): DerivationCheck[] {
  const tangents = valuesOf(graphs, graphs.tangents, sample);
  return graphs.tangents.map((target, i) => {
    const output = graphs.outputs.find(({ name }) => name === target.name)!;
    const along = (step: number): number[] => {
      const inputs = new Map(sample.inputs);
      for (const [name, { data }] of sample.tangents) {
        const { axes, data: from } = sample.inputs.get(name)!;
        inputs.set(name, { axes, data: from.map((x, j) => x + step * data[j]!) });
      }
      return valuesOf(graphs, [output], sample, { ...sample, inputs })[0]!;
    };
    const found = compareSlope(
      along,
      tangents[i]!,
      largest(tangents[i]!),
      Math.max(
        largest(along(0)),
        grainOf(graphs, target, sample) / visible,
        noiseOf(roundingOf(graphs, output, sample)) / visible,
      ),
    );
    return { ...found, what: 'jvp', details: target.name };
  });
}

function checkSecond(graphs: Graphs, sample: Sample): DerivationCheck[] {
  const { scalar, floor } = pairing(graphs, graphs.gradients, sample.cotangents2, sample);
  const second = valuesOf(graphs, graphs.second, sample);
  return graphs.second.map(({ name }, i) => {
    const isArgument = graphs.wrt.some((w) => w.name === name);
    const [place, of] = isArgument
      ? (['inputs', name] as const)
      : (['cotangents', name.replace('grad_', '')] as const);
    const at = {
      sample,
      place,
      name: of,
      floor: Math.max(floor, grainOf(graphs, graphs.second[i]!, sample) / visible),
      seed: `second ${name}`,
      isElementwise: false,
    };
    return { ...compareGradient(scalar, second[i]!, at), what: 'double_backward', details: name };
  });
}
