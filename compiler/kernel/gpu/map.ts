/** Kernels that compute element by element. */
import type { ProgramOutput } from '../../schedule/program.ts';
import type { MapStage } from '../../schedule/stages.ts';
import { storeOutputs } from '../body.ts';
import { manyBindings } from '../bound.ts';
import { binary, type Code, ceilDiv, index, type Kernel } from '../kernel.ts';
import { type Builder, elementsOf, finishKernel, group, lane, lanes, stridesOf, walk } from './build.ts';

/** Elements that a lane takes where nothing is reduced, so that positions are seldom told by dividing. */
const mapped = 8;

/** One kernel, or where it would bind more buffers than devices allow, one for each half of the outputs. */
export function mapKernels(outputs: readonly ProgramOutput[], open: () => Builder): Kernel[] {
  const kernel = mapKernel({ kind: 'map', outputs }, open());
  if (kernel.bindings.length <= manyBindings || outputs.length === 1) return [kernel];
  // state is stored last, after all else has been read
  const half = Math.ceil(outputs.length / 2);
  return [outputs.slice(0, half), outputs.slice(half)].flatMap((part) => mapKernels(part, open));
}

/** Each lane takes a few elements; outputs over other spaces take lanes from the start of the same dispatch. */
export function mapKernel(stage: MapStage, builder: Builder): Kernel {
  const { nest, tensors, inOrder } = builder;
  const spaces = new Map<string, ProgramOutput[]>();
  for (const output of stage.outputs) {
    const key = inOrder(output.axes).join(' ');
    spaces.set(key, [...(spaces.get(key) ?? []), output]);
  }
  const share = nest.local('share', binary('*', lanes, index(mapped)));
  const first = nest.local('first', binary('*', group, share));
  const start = nest.local('start', binary('+', first, lane));
  const sections = [...spaces].map(([key, outputs]) => ({ axes: key === '' ? [] : key.split(' '), outputs }));
  sections.sort((a, b) => b.axes.length - a.axes.length);
  for (const { axes, outputs } of sections) {
    const past = binary('+', first, share);
    const limit: Code = { code: 'least', type: 'index', a: past, b: elementsOf(builder, axes) };
    const end = nest.local('end', limit);
    const strides = stridesOf(builder, axes, lanes);
    walk(builder, axes, { start, end, step: lanes, strides }, (position) => {
      // a tensor over the whole space is as long, and in the same order
      if (axes.length > 0) nest.at(axes.join(' '), position);
      storeOutputs(nest, tensors, outputs);
    });
  }
  const most = sections.map(({ axes }) =>
    ceilDiv(elementsOf(builder, axes), binary('*', lanes, index(mapped))),
  );
  const workgroups = most.reduce((a, b): Code => ({ code: 'greatest', type: 'index', a, b }));
  return finishKernel(builder, stage, workgroups, [], []);
}
