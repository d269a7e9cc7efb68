/**
 * What every contender must agree with: the formulas of normalisation in float64, written out for any of the ops by
 * saying for each element to which statistic and to which channel it belongs.
 */
import {
  type Case,
  channelsOf,
  elementsOf,
  eps,
  groups,
  isRowwise,
  momentum,
  type Problem,
} from './cases.ts';
import type { Data } from './data.ts';

export type Results = ReadonlyMap<string, ArrayLike<number>>;

interface Places {
  readonly statistic: Int32Array;
  readonly statistics: number;
  readonly channel: Int32Array;
}

/** The inputs that may move in the second derivative. */
interface Inputs {
  readonly x: Float64Array;
  readonly weight: Float64Array;
  readonly bias: Float64Array;
}

function statisticOf({ op, shape }: Problem, n: number, c: number): number {
  const channels = shape[1]!;
  if (op === 'batch_norm') return c;
  if (isRowwise(op)) return n;
  if (op === 'instance_norm') return n * channels + c;
  return n * groups + Math.floor(c / (channels / groups));
}

function placesOf(problem: Problem): Places {
  const length = elementsOf(problem);
  const n = problem.shape[0]!;
  const c = problem.shape[1]!;
  const space = length / n / c;
  const statistic = new Int32Array(length);
  const channel = new Int32Array(length);
  let largest = 0;
  for (let i = 0; i < length; i++) {
    const row = Math.floor(i / (c * space));
    const here = problem.layout === 'first' ? Math.floor(i / space) % c : i % c;
    channel[i] = here;
    statistic[i] = statisticOf(problem, row, here);
    largest = Math.max(largest, statistic[i]!);
  }
  return { statistic, statistics: largest + 1, channel };
}

/** Sums of a function of the element, by the bins that the elements belong to. */
function sums(bins: Int32Array, count: number, f: (i: number) => number): Float64Array {
  const totals = new Float64Array(count);
  for (let i = 0; i < bins.length; i++) {
    const bin = bins[i]!;
    totals[bin] = totals[bin]! + f(i);
  }
  return totals;
}

interface First {
  readonly y: Float64Array;
  readonly dx: Float64Array;
  readonly dweight: Float64Array;
  readonly dbias: Float64Array;
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

function evaluate(problem: Problem, places: Places, { x, weight, bias }: Inputs, data: Data): First {
  const { statistic, statistics, channel } = places;
  const { dy } = data;
  const length = x.length;
  const count = length / statistics;
  const isCentred = problem.op !== 'rms_norm';
  const over = (f: (i: number) => number) => sums(statistic, statistics, f).map((total) => total / count);
  const measured = isCentred ? over((i) => x[i]!) : new Float64Array(statistics);
  const mean = problem.training ? measured : Float64Array.from(data.running_mean);
  const variance = problem.training
    ? over((i) => (x[i]! - mean[statistic[i]!]!) ** 2)
    : Float64Array.from(data.running_var);
  const scale = variance.map((v) => 1 / Math.sqrt(v + eps));
  const xhat = Float64Array.from(
    { length },
    (_, i) => (x[i]! - mean[statistic[i]!]!) * scale[statistic[i]!]!,
  );
  const g = Float64Array.from({ length }, (_, i) => dy[i]! * weight[channel[i]!]!);
  const meanG = isCentred && problem.training ? over((i) => g[i]!) : new Float64Array(statistics);
  const meanGx = problem.training ? over((i) => g[i]! * xhat[i]!) : new Float64Array(statistics);
  const channels = channelsOf(problem);
  return {
    y: xhat.map((value, i) => value * weight[channel[i]!]! + bias[channel[i]!]!),
    dx: g.map((value, i) => {
      const k = statistic[i]!;
      return scale[k]! * (value - meanG[k]! - xhat[i]! * meanGx[k]!);
    }),
    dweight: sums(channel, channels, (i) => dy[i]! * xhat[i]!),
    dbias: sums(channel, channels, (i) => dy[i]!),
    mean,
    variance,
  };
}

const moved = (a: Float32Array, v: Float32Array, by: number): Float64Array =>
  Float64Array.from(a, (value, i) => value + by * v[i]!);

/**
 * The gradients of <v, gradients of <dy, y>>. Second derivatives are symmetric: they are the derivative of the gradients
 * along v, and for dy that of y, here by differences.
 */
function second(problem: Problem, places: Places, data: Data): Map<string, Float64Array> {
  const h = 1e-4;
  const at = (by: number) => {
    const x = moved(data.x, data.v_x, by);
    const weight = moved(data.weight, data.v_weight, by);
    return evaluate(problem, places, { x, weight, bias: moved(data.bias, data.v_bias, by) }, data);
  };
  const [after, before] = [at(h), at(-h)];
  const difference = (a: Float64Array, b: Float64Array) => a.map((value, i) => (value - b[i]!) / (2 * h));
  return new Map([
    ['grad_y', difference(after.y, before.y)],
    ['x', difference(after.dx, before.dx)],
    ['weight', difference(after.dweight, before.dweight)],
  ]);
}

/**
 * The results of the cases of one problem, by name: `y`, `running_mean`, `running_var`, `dx`, `dweight`, `dbias`; of
 * double backward `grad_y`, `x`, `weight`. What cases share is computed once.
 */
export function createReference(problem: Problem, data: Data): (row: Case) => Results {
  const places = placesOf(problem);
  let first: First | undefined;
  const evaluateOnce = (): First => {
    if (first) return first;
    const [x, weight] = [Float64Array.from(data.x), Float64Array.from(data.weight)];
    // What has no bias has one that is zero.
    const bias = problem.op === 'rms_norm' ? weight.map(() => 0) : Float64Array.from(data.bias);
    first = evaluate(problem, places, { x, weight, bias }, data);
    return first;
  };
  return (row) => {
    if (row.task === 'double backward') return second(problem, places, data);
    const { y, dx, dweight, dbias, ...statistics } = evaluateOnce();
    const gradients = { x: dx, weight: dweight, bias: dbias };
    const wanted = row.task === 'forward' ? [] : row.wrt;
    const isForward = row.task !== 'backward';
    return new Map<string, ArrayLike<number>>([
      ...(isForward ? [['y', y] as const, ...states(problem, places, statistics, data)] : []),
      ...Object.entries(gradients).flatMap(([name, gradient]) =>
        wanted.includes(name) ? [[`d${name}`, gradient] as const] : [],
      ),
    ]);
  };
}

/** The running statistics after a call that updates them. */
function states(
  { op, training }: Problem,
  { statistic, statistics }: Places,
  { mean, variance }: Pick<First, 'mean' | 'variance'>,
  data: Data,
): (readonly [string, Float64Array])[] {
  if (op !== 'batch_norm' || !training) return [];
  const count = statistic.length / statistics;
  const mix = (old: Float32Array, now: Float64Array, factor: number) =>
    now.map((value, k) => (1 - momentum) * old[k]! + momentum * factor * value);
  return [
    ['running_mean', mix(data.running_mean, mean, 1)],
    ['running_var', mix(data.running_var, variance, count / (count - 1))],
  ];
}
