/**
 * The question that began this project. A batch norm is frozen by taking its weight and bias out of training. Is it then
 * in evaluation mode? No: as long as it is in training mode it normalises by the batch, and the gradient of its input
 * has the terms that come from there, frozen weights or not.
 *
 * Five batch norms see one 1×64×100×100 input of random numbers in 0…100: (1) in training mode with frozen weights,
 * (2) in training mode, (3) in evaluation mode, then (4) in training and (5) in evaluation mode without weight and bias.
 * The gradients of the input are compared, on the CPU and on WebGPU.
 */
import { openDevice } from '../cli/device.ts';
import { batch_norm } from '../generated/index.ts';
import { type CpuDevice, cpu, type Tensor, type WebGpuDevice, webgpu } from '../runtime/index.ts';

const shape = [1, 64, 100, 100];
const channels = 64;
const count = 64 * 100 * 100;

/** Uniform numbers in 0…1, the same in every run (mulberry32). */
function createUniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const uniform = createUniform(1);
const fill = (length: number, draw: () => number): Float32Array => Float32Array.from({ length }, draw);
const x = fill(count, () => 100 * uniform());
const runningMean = fill(channels, () => 40 + 20 * uniform());
const runningVar = fill(channels, () => 400 + 800 * uniform());
const weight = fill(channels, () => 1);
const bias = fill(channels, () => 0);

const cotangents: readonly (readonly [string, Float32Array])[] = [
  ['loss = sum(y)', fill(count, () => 1)],
  ['loss = sum(r y), r random in -1…1', fill(count, () => 2 * uniform() - 1)],
];

interface Mode {
  readonly training: boolean;
  readonly isAffine: boolean;
  readonly isFrozen: boolean;
}

/** The gradient of the input. A training call updates the running statistics, so that each has its own. */
async function gradient(
  device: CpuDevice | WebGpuDevice,
  cotangent: Float32Array,
  { training, isAffine, isFrozen }: Mode,
): Promise<ArrayLike<number>> {
  const inputs = {
    x: device.tensor(shape, x),
    running_mean: device.tensor([channels], runningMean.slice()),
    running_var: device.tensor([channels], runningVar.slice()),
    ...(isAffine && { weight: device.tensor([channels], weight), bias: device.tensor([channels], bias) }),
  };
  const dy = device.tensor(shape, cotangent);
  const run = await device.run(batch_norm, inputs, { training });
  // Frozen weights are weights whose gradients nobody asks for.
  const gradients: { readonly [name: string]: Tensor } =
    isAffine && !isFrozen
      ? await run.backward({ y: dy }, ['x', 'weight', 'bias'])
      : await run.backward({ y: dy }, ['x']);
  const dx = await gradients.x!.read();
  run.dispose();
  const all = [...Object.values(inputs), ...Object.values(run.outputs), ...Object.values(gradients), dy];
  for (const tensor of all) tensor.dispose();
  return dx;
}

/** The norm of the difference, as in the original experiment. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(total);
}

const format = (value: number): string => (value === 0 ? '0' : value.toExponential(2));

/** The five differences on one device, for one loss. */
async function differences(device: CpuDevice | WebGpuDevice, cotangent: Float32Array): Promise<number[]> {
  const dx = (training: boolean, isAffine: boolean, isFrozen = false) =>
    gradient(device, cotangent, { training, isAffine, isFrozen });
  const frozen = await dx(true, true, true);
  const train = await dx(true, true);
  const evaluate = await dx(false, true);
  const plainTrain = await dx(true, false);
  const plainEvaluate = await dx(false, false);
  return [
    distance(evaluate, train),
    distance(plainEvaluate, plainTrain),
    distance(evaluate, plainEvaluate),
    distance(train, plainTrain),
    distance(frozen, train),
  ];
}

const rows = [
  ['eval against train', 'not 0: evaluation has no terms from the batch'],
  ['the same without weight and bias', 'as large: weight = 1 and bias = 0 change nothing'],
  ['eval, with against without', '0, or what rounding leaves'],
  ['train, with against without', '0, or what rounding leaves'],
  ['frozen weights against not', '0: freezing leaves out dweight and dbias, dx is the same'],
] as const;

const { device, description } = await openDevice();
const devices = [
  ['WebAssembly, f32', cpu()],
  ['WebGPU', webgpu(device)],
] as const;

console.log(`batch_norm on ${shape.join('×')}, norms of differences of the input's gradients`);
console.log(`WebGPU is ${description}`);
for (const [name, cotangent] of cotangents) {
  const columns: string[][] = [];
  for (const [, on] of devices) columns.push((await differences(on, cotangent)).map(format));
  console.log(`\n${name}`);
  console.log(`  ${''.padEnd(34)}${devices.map(([label]) => label.padEnd(17)).join('')}`.trimEnd());
  for (const [i, [label, meaning]] of rows.entries())
    console.log(`  ${label.padEnd(34)}${columns.map((column) => column[i]!.padEnd(17)).join('')}${meaning}`);
}
console.log(`
A batch norm in training mode with frozen weights is not one in evaluation mode: it gives the training gradient, with
the terms through mean and variance. To freeze the statistics too, call it with training: false. (With loss = sum(y)
the training gradient is zero, since a normalised output has a fixed sum, so that this loss tests little.)`);
device.destroy();
