/**
 * Stages to WGSL-shaped kernels. Each is spread over workgroups by what it keeps, a tile of kept indices each. How many
 * lanes a workgroup has, how many of them share a kept index, and into how many blocks its elements are cut, are numbers
 * that the runtime chooses: see `planOf` there.
 */
import type { Axes } from '../graph/axes.ts';
import type { Program } from '../schedule/program.ts';
import type { ReduceStage, Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { fewBindings } from './bound.ts';
import type { Context } from './gpu/build.ts';
import { mapKernels } from './gpu/map.ts';
import { reduceKernel } from './gpu/reduce.ts';
import type { Kernel } from './kernel.ts';
import { packSmallValues } from './pack.ts';
import { createScalars } from './scalar.ts';
import { createTensors, expressionsOf, inputsOf, outputsOf } from './tensors.ts';

export function lowerGpu(
  entry: Entry,
  program: Program,
  stages: readonly Stage[],
  layout: readonly string[],
): Kernel[] {
  const tensors = createTensors(entry, program, layout);
  // these have the same names in every program too
  for (const base of ['share', 'taken'] as const) tensors.chosen(base);
  const inOrder = (axes: Axes): string[] => layout.filter((axis) => axes.includes(axis));
  // every buffer has its name before any local can take it
  const buffers = [
    ...inputsOf(stages.flatMap(expressionsOf)).map(tensors.ofInput),
    ...stages.flatMap(outputsOf).map(tensors.ofOutput),
  ];
  const scalars = createScalars();
  const packed = packSmallValues(stages, scalars, tensors, inOrder);
  const context: Context = { tensors, scalars, packed, inOrder, buffers: [...buffers, ...packed.buffers] };
  return stages.flatMap((stage) => {
    const { in: own } = packed;
    const here: Context = { ...context, packed: { ...packed, in: () => own(stage) } };
    if (stage.kind === 'map') return mapKernels(stage.outputs, here);
    return stage.groups.flatMap((group, i) => {
      const part: ReduceStage = { ...stage, groups: [group], riders: i === 0 ? stage.riders : [] };
      const kernel = reduceKernel(part, here);
      if (part.riders.length === 0 || kernel.bindings.length <= fewBindings) return [kernel];
      return [reduceKernel({ ...part, riders: [] }, here), ...mapKernels(part.riders, here)];
    });
  });
}
