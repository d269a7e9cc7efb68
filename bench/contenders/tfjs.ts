/** TensorFlow.js: batch norm from `moments` and `batchNorm`, as its layer does; gradients from its tape. */
import { type Case, channelsOf, eps, isRowwise, physicalShape } from '../cases.ts';
import { assemble, numbered, type Prepared, type Team, timeQueued, timeSync, turn } from '../contender.ts';
import type { Data } from '../data.ts';
import { requirePeer, versionOf } from '../peers.ts';

interface Tensor {
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
  sub(other: Tensor): Tensor;
  mul(other: Tensor): Tensor;
  add(other: Tensor | number): Tensor;
  rsqrt(): Tensor;
}
type Forward = (x: Tensor, weight: Tensor, bias: Tensor) => Tensor;

interface Tfjs {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  removeBackend(name: string): void;
  registerBackend(name: string, make: () => unknown): boolean;
  backend(): {
    readonly queue: GPUQueue;
    ensureCommandEncoderReady(): void;
    endComputePassEncoder(): void;
    submitQueue(): void;
  };
  tensor(data: Float32Array, shape: readonly number[]): Tensor;
  moments(x: Tensor, axes: readonly number[], keepDims?: boolean): { mean: Tensor; variance: Tensor };
  batchNorm(x: Tensor, mean: Tensor, variance: Tensor, bias: Tensor, weight: Tensor, eps: number): Tensor;
  tidy<T>(f: () => T): T;
  valueAndGrads(
    f: Forward,
  ): (args: readonly Tensor[], dy: Tensor) => { value: Tensor; grads: readonly Tensor[] };
}

const packages = {
  cpu: '@tensorflow/tfjs',
  wasm: '@tensorflow/tfjs-backend-wasm',
  webgpu: '@tensorflow/tfjs-backend-webgpu',
} as const;

type Backend = keyof typeof packages;

export function loadTfjs(backend: Backend): Promise<Team> {
  const name = `tfjs ${backend}`;
  const versions = () => [`TensorFlow.js ${versionOf('@tensorflow/tfjs')}`];
  return assemble(name, versions, async () => {
    const tf = requirePeer<Tfjs>('@tensorflow/tfjs');
    const start = async () => {
      requirePeer(packages[backend]);
      if (!(await tf.setBackend(backend))) throw new Error(`the ${backend} backend does not start`);
      await tf.ready();
    };
    await (backend === 'webgpu' ? inBrowser(start) : start());
    return [
      {
        name,
        side: 'peer',
        unit: backend === 'webgpu' ? 'gpu' : 'cpu',
        threads: backend === 'webgpu' ? 'all' : 'one',
        cannot,
        prepare: (row, data) => prepare(tf, backend, row, data),
      },
    ];
  });
}

/** The WebGPU backend wants to see a browser's global when it is loaded and starts; the rest of tfjs had better not. */
async function inBrowser(load: () => Promise<void>): Promise<void> {
  const scope = globalThis as { WorkerGlobalScope?: unknown };
  scope.WorkerGlobalScope = class {};
  try {
    await load();
  } finally {
    delete scope.WorkerGlobalScope;
  }
}

function cannot({ op, shape, layout, task, wrt }: Case): string | undefined {
  if (task === 'backward') return 'gradients come with the forward';
  if (task === 'double backward') return 'its batch norm has no second derivative';
  if (op === 'group_norm' || op === 'instance_norm' || op === 'rms_norm') return 'not written for it here';
  if (op === 'batch_norm' && layout === 'first' && shape.length > 2) return 'channels must be last';
  return wrt.length < 3 && task === 'step' ? 'not written for it here' : undefined;
}

/** The forward as its users write it. It keeps no running statistics, which is less work. */
function forwardOf(tf: Tfjs, row: Case, frozen: { mean: Tensor; variance: Tensor }): Forward {
  const rank = row.shape.length;
  if (isRowwise(row.op))
    return (x, weight, bias) => {
      const { mean, variance } = tf.moments(x, [rank - 1], true);
      return x.sub(mean).mul(variance.add(eps).rsqrt()).mul(weight).add(bias);
    };
  const axes = Array.from({ length: rank - 1 }, (_, axis) => axis);
  return (x, weight, bias) => {
    const { mean, variance } = row.training ? tf.moments(x, axes) : frozen;
    return tf.batchNorm(x, mean, variance, bias, weight, eps);
  };
}

async function prepare(tf: Tfjs, backend: Backend, row: Case, data: readonly Data[]): Promise<Prepared> {
  const large = (array: Float32Array) => tf.tensor(array, physicalShape(row));
  const small = (array: Float32Array) => tf.tensor(array, [channelsOf(row)]);
  const sets = data.map((set) => ({
    inputs: [large(set.x), small(set.weight), small(set.bias)] as const,
    dy: large(set.dy),
  }));
  const frozen = { mean: small(data[0]!.running_mean), variance: small(data[0]!.running_var) };
  const forward = forwardOf(tf, row, frozen);
  const step = tf.valueAndGrads(forward);
  const run = (i: number): readonly Tensor[] => {
    const { inputs, dy } = turn(sets, i);
    if (row.task === 'forward') return [tf.tidy(() => forward(...inputs))];
    const { value, grads } = step(inputs, dy);
    return [value, ...grads];
  };
  const call = numbered((i) => {
    for (const tensor of run(i)) tensor.dispose();
  });
  const finish = () => {
    // It collects some work before it submits; this is how it does that itself.
    const gpu = tf.backend();
    gpu.ensureCommandEncoderReady();
    gpu.endComputePassEncoder();
    gpu.submitQueue();
    return gpu.queue.onSubmittedWorkDone();
  };
  return {
    results: async () => {
      const names = ['y', 'dx', 'dweight', 'dbias'];
      const results = new Map<string, ArrayLike<number>>();
      for (const [i, tensor] of run(0).entries()) {
        results.set(names[i]!, await tensor.data());
        tensor.dispose();
      }
      return results;
    },
    time: async (count) => {
      return backend === 'webgpu' ? timeQueued(count, call, finish) : timeSync(count, call);
    },
    dispose: async () => {
      for (const { inputs, dy } of sets) for (const tensor of [...inputs, dy]) tensor.dispose();
      frozen.mean.dispose();
      frozen.variance.dispose();
    },
  };
}
