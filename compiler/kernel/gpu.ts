/**
 * Stages to WGSL-shaped kernels. Each is spread over workgroups by what it keeps, a tile of kept indices each. How many
 * lanes a workgroup has, how many of them share a kept index, and into how many blocks its elements are cut, are numbers
 * that the runtime chooses: see `planOf` there.
 */
import type { Axes } from '../graph/axes.ts';
import type { Program } from '../schedule/program.ts';
import { type Group, handleOf, type Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { fewBindings } from './bound.ts';
import type { Context } from './gpu/build.ts';
import { mapKernels } from './gpu/map.ts';
import { fusedKernel, reduceKernel } from './gpu/reduce.ts';
import { type ReduceUnit, type Unit, unitsOf } from './gpu/units.ts';
import type { Kernel } from './kernel.ts';
import { type Found, packSmallValues } from './pack.ts';
import { createScalars } from './scalar.ts';
import { allChosen, createTensors, expressionsOf, inputsOf, outputsOf } from './tensors.ts';

/**
 * Whether a group and the map that goes on from it are one kernel always, or only where no kept index has to be cut into
 * blocks, or never. Devices allow a kernel few buffers, and partial results take one.
 */
type Fusion = 'always' | 'whole' | 'never';
const fusions: readonly Fusion[] = ['always', 'whole', 'never'];

export function lowerGpu(
  entry: Entry,
  program: Program,
  stages: readonly Stage[],
  layout: readonly string[],
): Kernel[] {
  const inOrder = (axes: Axes): string[] => layout.filter((axis) => axes.includes(axis));
  const units = unitsOf(stages, inOrder);
  const chosen = new Map<Unit, Fusion>();
  const fusionOf = (unit: Unit): Fusion => chosen.get(unit) ?? fusions[0]!;
  for (;;) {
    const kernels = lowerUnits(entry, program, units, layout, fusionOf);
    const tooMuch = units.find((_, i) => kernels[i] === undefined);
    if (!tooMuch) return kernels.flatMap((own) => own ?? []);
    chosen.set(tooMuch, fusions[fusions.indexOf(fusionOf(tooMuch)) + 1]!);
  }
}

/** The kernels of each unit; nothing for one that would bind too much as it is fused. */
function lowerUnits(
  entry: Entry,
  program: Program,
  units: readonly Unit[],
  layout: readonly string[],
  fusionOf: (unit: Unit) => Fusion,
): (readonly Kernel[] | undefined)[] {
  const tensors = createTensors(entry, program, layout);
  // these have the same names in every program too
  for (const base of allChosen) tensors.chosen(base);
  const inOrder = (axes: Axes): string[] => layout.filter((axis) => axes.includes(axis));
  const stages = units.flatMap((unit): Stage[] =>
    unit.kind === 'reduce' && unit.map ? [unit.stage, unit.map] : [unit.stage],
  );
  // every buffer has its name before any local can take it
  const buffers = [
    ...inputsOf(stages.flatMap(expressionsOf)).filter(isBuffer).map(tensors.ofInput),
    ...stages.flatMap(outputsOf).filter(isBuffer).map(tensors.ofOutput),
  ];
  const scalars = createScalars();
  const isAtHand = (stage: Stage, group: Group): boolean =>
    units.some(
      (unit) =>
        unit.kind === 'reduce' && unit.map === stage && unit.group === group && fusionOf(unit) === 'always',
    );
  const packed = packSmallValues(stages, scalars, tensors, inOrder, { isAtHand });
  const common = { tensors, scalars, inOrder, buffers: [...buffers, ...packed.buffers] };
  const contextOf = (...own: readonly Stage[]): Context => {
    const found: Found = (scalar) => own.map((stage) => packed.in(stage)(scalar)).find((at) => at);
    return { ...common, packed: { found, by: packed.by } };
  };

  const reduced = ({ stage }: ReduceUnit): Kernel[] => {
    const context = contextOf(stage);
    const kernel = reduceKernel(stage, context);
    if (stage.riders.length === 0 || kernel.bindings.length <= fewBindings) return [kernel];
    return [reduceKernel({ ...stage, riders: [] }, context), ...mapKernels(stage.riders, context)];
  };
  /** One kernel for both; it computes for itself what it has the group's results for. */
  const fused = ({ stage, group, map }: ReduceUnit, splits: boolean): Kernel | undefined => {
    const { found, by } = contextOf(stage, map!).packed;
    const own = packed.by(group);
    const isRead = stages.some((other) => other !== map && reads(other, group));
    const here = {
      found: (scalar: Parameters<Found>[0]) => {
        const at = found(scalar);
        return at?.packing === own ? undefined : at;
      },
      by: isRead ? by : () => undefined,
    };
    const kernel = fusedKernel(stage, map!, { ...common, packed: here }, splits);
    return kernel.bindings.length <= fewBindings ? kernel : undefined;
  };
  const kernelsOf = (unit: Unit): readonly Kernel[] | undefined => {
    if (unit.kind === 'map') return mapKernels(unit.stage.outputs, contextOf(unit.stage));
    if (!unit.map) return reduced(unit);
    const fusion = fusionOf(unit);
    const kernel = fusion === 'never' ? undefined : fused(unit, fusion === 'always');
    if (fusion === 'always') return kernel && [kernel];
    const apart = [...reduced(unit), ...mapKernels(unit.map.outputs, contextOf(unit.map))];
    if (fusion === 'never') return apart;
    return kernel && [{ ...kernel, otherwise: apart }];
  };
  return units.map(kernelsOf);
}

/** Scratch is packed, unless it is what an output's handle says. */
const isBuffer = ({ role, of }: { readonly role: string; readonly of: string }): boolean =>
  role !== 'scratch' || of.includes(' ');

/** Whether a stage needs what follows from a group's results. */
const reads = (stage: Stage, { epilogue }: Group): boolean => {
  const handles = epilogue.map(handleOf);
  return inputsOf(expressionsOf(stage)).some((node) => handles.includes(node));
};
