/**
 * Stages to WGSL-shaped kernels. A reduction is spread over workgroups by what it keeps, a tile of kept indices each, and
 * partial sums are kept where two groups of reductions over different axes share one read. How many lanes a workgroup
 * has and how many of them share a result are numbers that the runtime chooses: see `widthOf` there.
 */
import { type Axes, intersection } from '../graph/axes.ts';
import type { Program } from '../schedule/program.ts';
import type { Group, ReduceStage, Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { createBody } from './body.ts';
import { fewBindings } from './bound.ts';
import type { Builder, Context } from './gpu/build.ts';
import { mapKernels } from './gpu/map.ts';
import { sharedKernels } from './gpu/shared.ts';
import { tileKernel } from './gpu/tile.ts';
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
    const found = packed.in(stage);
    const open = (): Builder => {
      const names = tensors.locals();
      return { ...context, names, nest: createBody(tensors, names, scalars, found) };
    };
    if (stage.kind === 'map') return mapKernels(stage.outputs, open);
    return splitStage(stage, inOrder).flatMap((part) => {
      const kernels = reduceKernels(part, open);
      const isCrowded = kernels.some(({ bindings }) => bindings.length > fewBindings);
      if (part.riders.length === 0 || !isCrowded) return kernels;
      return [...reduceKernels({ ...part, riders: [] }, open), ...mapKernels(part.riders, open)];
    });
  });
}

function reduceKernels(part: ReduceStage, open: () => Builder): Kernel[] {
  const [first, second] = part.groups;
  if (first && second) return sharedKernels(part, first, second, open);
  return [tileKernel(part, open())];
}

/** Two groups can share a read where each keeps what the other sums; more or other groups each read on their own. */
function splitStage(stage: ReduceStage, inOrder: Builder['inOrder']): ReduceStage[] {
  const innermost = inOrder(stage.space).at(-1)!;
  const isSimple = (group: Group): boolean => group.accumulations.every(({ monoid }) => monoid !== 'moments');
  const rows = stage.groups.find((g) => g.over.includes(innermost) && isSimple(g));
  const columns =
    rows && stage.groups.find((g) => intersection(g.over, rows.over).length === 0 && isSimple(g));
  const paired = rows && columns ? [rows, columns] : [];
  const alone = stage.groups.filter((g) => !paired.includes(g));
  const parts = [...(paired.length > 0 ? [paired] : []), ...alone.map((g) => [g])];
  return parts.map((groups, i) => ({ ...stage, groups, riders: i === 0 ? stage.riders : [] }));
}
