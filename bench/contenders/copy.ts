/** The floor: copying the tensor, once a call, into memory that is already there. */
import { type Case, elementsOf } from '../cases.ts';
import {
  type Contender,
  numbered,
  type Prepared,
  type Team,
  timeQueued,
  timeSync,
  turn,
} from '../contender.ts';
import type { Data } from '../data.ts';

export const copies = { cpu: 'copy', gpu: 'copy on WebGPU' } as const;

/** It computes nothing, so it cannot be wrong. */
const nothing = async () => new Map<string, ArrayLike<number>>();
const always = (): undefined => undefined;

export function loadCopies(gpu: GPUDevice | undefined): Team {
  const onCpu: Contender = {
    name: copies.cpu,
    side: 'floor',
    unit: 'cpu',
    threads: 'one',
    cannot: always,
    prepare: copyOnCpu,
  };
  const onGpu = (device: GPUDevice): Contender => ({
    name: copies.gpu,
    side: 'floor',
    unit: 'gpu',
    threads: 'all',
    cannot: always,
    prepare: (row, data) => copyOnGpu(device, row, data),
  });
  return { contenders: [onCpu, ...(gpu ? [onGpu(gpu)] : [])], absent: [], versions: [] };
}

async function copyOnCpu(_row: Case, data: readonly Data[]): Promise<Prepared> {
  const targets = data.map(({ x }) => new Float32Array(x.length));
  const call = numbered((i) => turn(targets, i).set(turn(data, i).x));
  return { results: nothing, time: async (count) => timeSync(count, call), dispose: () => {} };
}

async function copyOnGpu(device: GPUDevice, row: Case, data: readonly Data[]): Promise<Prepared> {
  const size = 4 * elementsOf(row);
  const usage = 4 | 8; // GPUBufferUsage.COPY_SRC | COPY_DST, which Node has not as globals
  const make = () => device.createBuffer({ size, usage });
  const sources = data.map(({ x }) => {
    const buffer = make();
    device.queue.writeBuffer(buffer, 0, x);
    return buffer;
  });
  const targets = data.map(make);
  const call = numbered((i) => {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(turn(sources, i), 0, turn(targets, i), 0, size);
    device.queue.submit([encoder.finish()]);
  });
  return {
    results: nothing,
    time: (count) => timeQueued(count, call, () => device.queue.onSubmittedWorkDone()),
    dispose: () => {
      for (const buffer of [...sources, ...targets]) buffer.destroy();
    },
  };
}
