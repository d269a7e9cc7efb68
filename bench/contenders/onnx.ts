/** ONNX Runtime in Node, on the CPU: forward alone, since that is all it has. */
import { type Case, channelsOf, eps, isRowwise, momentum, physicalShape } from '../cases.ts';
import {
  assemble,
  type Contender,
  numbered,
  type Prepared,
  type Team,
  timeAsync,
  turn,
} from '../contender.ts';
import type { Data } from '../data.ts';
import { requirePeer, versionOf } from '../peers.ts';
import { encodeModel, type OneNode } from './onnx-model.ts';

interface Tensor {
  readonly data: ArrayLike<number>;
}
type Tensors = { readonly [name: string]: Tensor };
interface Session {
  run(feeds: Tensors): Promise<Tensors>;
  release(): Promise<void>;
}
interface Ort {
  readonly InferenceSession: {
    create(model: Uint8Array, options: { intraOpNumThreads: number }): Promise<Session>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => Tensor;
}

export function loadOnnx(threads: number): Promise<Team> {
  const name = 'ONNX Runtime';
  const versions = () => [`ONNX Runtime ${versionOf('onnxruntime-node')}`];
  return assemble(name, versions, async () => {
    const ort = requirePeer<Ort>('onnxruntime-node');
    const contender = (label: string, kind: 'one' | 'all', count: number): Contender => ({
      name: label,
      side: 'peer',
      unit: 'cpu',
      threads: kind,
      cannot,
      prepare: (row, data) => prepare(ort, count, row, data),
    });
    return [contender(name, 'one', 1), contender(`${name}, all threads`, 'all', threads)];
  });
}

function cannot({ op, layout, task }: Case): string | undefined {
  if (task !== 'forward') return 'it has no gradients';
  if (layout === 'last') return 'channels must be first';
  return op === 'group_norm' || op === 'rms_norm' ? 'not written for it here' : undefined;
}

function nodeOf(row: Case): OneNode {
  const channels = [channelsOf(row)];
  const inputs = { x: physicalShape(row), weight: channels, bias: channels };
  const opset = 17;
  if (isRowwise(row.op))
    return {
      op: 'LayerNormalization',
      opset,
      inputs,
      outputs: ['y'],
      floats: { epsilon: eps },
      ints: { axis: 1 },
    };
  if (row.op === 'instance_norm')
    return { op: 'InstanceNormalization', opset, inputs, outputs: ['y'], floats: { epsilon: eps } };
  return {
    op: 'BatchNormalization',
    opset,
    inputs: { ...inputs, running_mean: channels, running_var: channels },
    // Its running variance is the biased one, so the new statistics are not compared.
    outputs: row.training ? ['y', 'new_mean', 'new_var'] : ['y'],
    floats: { epsilon: eps, momentum: 1 - momentum },
    ints: { training_mode: Number(row.training) },
  };
}

async function prepare(ort: Ort, threads: number, row: Case, data: readonly Data[]): Promise<Prepared> {
  const node = nodeOf(row);
  const session = await ort.InferenceSession.create(encodeModel(node), { intraOpNumThreads: threads });
  const sets = data.map((set): Tensors => {
    const feeds = Object.entries(node.inputs).map(([name, shape]) => {
      const array = set[name as keyof Data];
      return [name, new ort.Tensor('float32', array, shape)] as const;
    });
    return Object.fromEntries(feeds);
  });
  const call = numbered(async (i) => void (await session.run(turn(sets, i))));
  return {
    results: async () => new Map([['y', (await session.run(sets[0]!)).y!.data]]),
    time: (count) => timeAsync(count, call),
    dispose: () => session.release(),
  };
}
