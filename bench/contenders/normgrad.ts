/** Ours: each target that was generated, on each device there is. */
import { readFile } from 'node:fs/promises';
import type { OpenedDevice } from '../../cli/device.ts';
import { batch_norm, group_norm, instance_norm, layer_norm, rms_norm } from '../../generated/index.ts';
import type { CpuDevice, OpDescription, Tensor, WebGpuDevice } from '../../runtime/index.ts';
import { type Case, channelsOf, eps, groups, momentum, type OpName, physicalShape } from '../cases.ts';
import {
  assemble,
  type Contender,
  numbered,
  type Prepared,
  type Team,
  timeAsync,
  timeQueued,
  timeSync,
  turn,
} from '../contender.ts';
import type { Data } from '../data.ts';

// The cases are not known to the types, so the calls are those of any op.
const ops = { batch_norm, layer_norm, group_norm, instance_norm, rms_norm } as unknown as {
  readonly [K in OpName]: OpDescription;
};

/** How a CPU device is asked for a target and threads. */
type MakeCpu = (options?: {
  threads?: number;
  target?: 'wasm' | 'typescript';
}) => CpuDevice | Promise<CpuDevice>;

/** The runtime as it is published: what `tsx` makes of the sources names every closure when it is created. */
const published = new URL('../../dist/runtime/index.js', import.meta.url).href;
const runtime = (await import(published)) as typeof import('../../runtime/index.ts');
const makeCpu: MakeCpu = runtime.cpu;

/** A device that calls run on, and how to wait until what was called is done. */
interface Engine {
  readonly device: CpuDevice | WebGpuDevice;
  readonly finish?: () => Promise<unknown>;
}

type Tensors = { readonly [name: string]: Tensor };

/** A finished forward, whichever the op and the device. */
interface Finished {
  readonly outputs: Tensors;
  backward(cotangents: Tensors, wrt: readonly string[]): Tensors | Promise<Tensors>;
  doubleBackward(cotangents: Tensors, cotangents2: Tensors): Tensors | Promise<Tensors>;
  dispose(): void;
}

/** A target on the CPU, of which each has a process of its own. */
export const loadCpu = (name: string, target: 'wasm' | 'typescript', threads: number): Promise<Team> =>
  load(name, { unit: 'cpu', threads: threads > 1 ? 'all' : 'one' }, async () => {
    const { targets } = JSON.parse(await readFile(manifest, 'utf8')) as { targets: readonly string[] };
    if (!targets.includes(target)) throw new Error('this target is not generated');
    return { device: await makeCpu({ target, threads }) };
  });

export const loadGpu = (gpu: OpenedDevice | undefined): Promise<Team> =>
  load('WGSL', { unit: 'gpu', threads: 'all' }, async () => {
    if (!gpu) throw new Error('no WebGPU device');
    const { device } = gpu;
    return { device: runtime.webgpu(device), finish: () => device.queue.onSubmittedWorkDone() };
  });

const manifest = new URL('../../generated/manifest.json', import.meta.url);

const load = (
  name: string,
  traits: Pick<Contender, 'unit' | 'threads'>,
  open: () => Promise<Engine>,
): Promise<Team> =>
  assemble(
    name,
    () => [],
    async () => {
      const engine = await open();
      return [{ name, side: 'ours', ...traits, cannot, prepare: (row, data) => prepare(engine, row, data) }];
    },
  );

const cannot = ({ op, layout }: Case): string | undefined =>
  ops[op].layouts.length === 1 && layout === 'last' ? 'this layout is not generated' : undefined;

const attributesOf: { readonly [K in OpName]: (row: Case) => object } = {
  batch_norm: ({ training }) => ({ training, momentum, eps }),
  layer_norm: () => ({ eps }),
  group_norm: () => ({ g: groups, eps }),
  instance_norm: () => ({ use_input_stats: true, eps }),
  rms_norm: () => ({ eps }),
};

/** Inputs on the device, of one set of data. */
function place({ device }: Engine, row: Case, data: Data) {
  const large = (array: Float32Array) => device.tensor(physicalShape(row), array);
  const small = (array: Float32Array) => device.tensor([channelsOf(row)], array);
  const weight = small(data.weight);
  const inputs: { [name: string]: Tensor } = { x: large(data.x), weight };
  if (row.op !== 'rms_norm') inputs.bias = small(data.bias);
  if (row.op === 'batch_norm') {
    // States are updated in place, so they are not to share memory with the data.
    inputs.running_mean = small(data.running_mean.slice());
    inputs.running_var = small(data.running_var.slice());
  }
  const isDouble = row.task === 'double backward';
  const cotangents2: Tensors = isDouble
    ? { x: large(data.v_x), weight: small(data.v_weight), bias: small(data.v_bias) }
    : {};
  return { inputs, cotangents: { y: large(data.dy) }, cotangents2 };
}

type Placed = ReturnType<typeof place>;

const free = (tensors: Tensors): void => {
  for (const tensor of Object.values(tensors)) tensor.dispose();
};

async function prepare(engine: Engine, row: Case, data: readonly Data[]): Promise<Prepared> {
  const { device } = engine;
  const op = ops[row.op];
  const options = row.layout === 'last' ? { layout: op.layouts[1]!.join(' ') } : {};
  const attributes = { ...attributesOf[row.op](row) };
  const forwardSync = (inputs: Tensors) =>
    (device as CpuDevice).runSync(op, inputs, attributes, options) as unknown as Finished;
  const forwardAsync = async (inputs: Tensors) =>
    (await device.run(op, inputs, attributes, options)) as unknown as Finished;
  // A device without `runSync` is timed with its promises.
  const isSync = 'runSync' in device;
  const forward = async (inputs: Tensors) => (isSync ? forwardSync(inputs) : await forwardAsync(inputs));
  const placed = data.map((set) => place(engine, row, set));
  const isBackwardAlone = row.task === 'backward' || row.task === 'double backward';
  const runs: Finished[] = [];
  if (isBackwardAlone) for (const { inputs } of placed) runs.push(await forward(inputs));

  const differentiate = (run: Finished, { cotangents, cotangents2 }: Placed) =>
    row.task === 'double backward'
      ? run.doubleBackward(cotangents, cotangents2)
      : run.backward(cotangents, row.wrt);
  const discard = (run: Finished, gradients: Tensors = {}) => {
    free(gradients);
    free(run.outputs);
    run.dispose();
  };
  const callSync = numbered((i) => {
    const set = turn(placed, i);
    if (isBackwardAlone) return free(differentiate(turn(runs, i), set) as Tensors);
    const run = forwardSync(set.inputs);
    discard(run, row.task === 'step' ? (differentiate(run, set) as Tensors) : {});
  });
  const callAsync = numbered(async (i) => {
    const set = turn(placed, i);
    if (isBackwardAlone) return free(await differentiate(turn(runs, i), set));
    const run = await forwardAsync(set.inputs);
    discard(run, row.task === 'step' ? await differentiate(run, set) : {});
  });
  return {
    results: async () => {
      const set = placed[0]!;
      const run = runs[0] ?? (await forward(set.inputs));
      const gradients = row.task === 'forward' ? {} : await differentiate(run, set);
      const results = await read(row, run, gradients, set.inputs);
      free(gradients);
      if (!isBackwardAlone) discard(run);
      return results;
    },
    time: (count) => {
      if (engine.finish) return timeQueued(count, callAsync, engine.finish);
      return isSync ? Promise.resolve(timeSync(count, callSync)) : timeAsync(count, callAsync);
    },
    dispose: () => {
      for (const run of runs) discard(run);
      for (const set of placed) for (const tensors of Object.values(set)) free(tensors);
    },
  };
}

async function read(row: Case, run: Finished, gradients: Tensors, inputs: Tensors) {
  const prefix = row.task === 'double backward' ? '' : 'd';
  const named: { [name: string]: Tensor } = {};
  if (row.task === 'forward' || row.task === 'step') {
    named.y = run.outputs.y!;
    if (inputs.running_mean) named.running_mean = inputs.running_mean;
    if (inputs.running_var) named.running_var = inputs.running_var;
  }
  for (const [name, tensor] of Object.entries(gradients)) named[`${prefix}${name}`] = tensor;
  const results = new Map<string, ArrayLike<number>>();
  for (const [name, tensor] of Object.entries(named)) results.set(name, await tensor.read());
  return results;
}
