/** Units to kernels, each as it is planned. */
import { handleOf, isBareScratch } from '../../graph/handles.ts';
import type { Program } from '../../schedule/program.ts';
import type { Group, MapStage, Stage } from '../../schedule/stages.ts';
import type { Entry } from '../../spec/spec.ts';
import { mostStorageBuffers } from '../bound.ts';
import type { Kernel } from '../kernel.ts';
import {
  type Found,
  type Handed,
  type Packed,
  type PackOptions,
  type Preparation,
  packSmallValues,
} from '../pack.ts';
import { createScalars } from '../scalar.ts';
import type { Scalar } from '../scalar-build.ts';
import { allChosen, createTensors, expressionsOf, inputsOf, outputsOf, type Tensors } from '../tensors.ts';
import type { Context } from './build.ts';
import { mapKernels } from './map.ts';
import { prepareKernels } from './prepare.ts';
import { fusedKernel, reduceKernel, reduceKernels } from './reduce.ts';
import { type ReduceUnit, stagesIn, type Unit } from './units.ts';

/** How a unit becomes kernels. Devices allow a kernel few buffers, so of these the first is chosen that binds no more. */
export interface Plan {
  /**
   * Whether a group and the map that goes on from it are one kernel always, or only where no kept index has to be cut into
   * blocks, since partial results take a buffer, or never.
   */
  readonly fusion: 'always' | 'whole' | 'never';
  /** What is as small as kept indices is computed before, and handed over in one buffer. */
  readonly prepared?: Preparation;
  /** Outputs of one map may go to several kernels, which read the same data. */
  readonly isCut?: boolean;
  /** Formulas of too many tensors are computed in parts, which take memory. */
  readonly isInParts?: boolean;
}

/** What the kernels of all units share. */
interface Opened {
  readonly stages: readonly Stage[];
  readonly packed: Packed;
  /** For kernels of a unit that compute these stages. */
  readonly contextOf: (unit: Unit, ...own: readonly Stage[]) => Context;
}

/** What gives the kernels of each unit, as it is planned; units are asked for in order. */
export function openUnits(
  entry: Entry,
  program: Program,
  units: readonly Unit[],
  layout: readonly string[],
  planFor: (unit: Unit) => Plan,
): (unit: Unit) => readonly Kernel[] {
  const tensors = createTensors(entry, program, layout);
  // these have the same names in every program too
  for (const base of allChosen) tensors.chosen(base);
  const { inOrder } = tensors;
  const stages = units.flatMap(stagesIn);
  const named = buffersOf(stages, tensors);
  const scalars = createScalars();
  const packed = packSmallValues(stages, scalars, tensors, handoversOf(units, planFor));
  const buffers = [...named, ...packed.buffers];
  const left = new Map<Scalar, Handed>();
  const contextOf = (unit: Unit, ...own: readonly Stage[]): Context => {
    const { isCut = false, isInParts = false } = planFor(unit);
    const found = firstOf([...own.map(packed.in), (scalar) => left.get(scalar)]);
    const here = { found, by: packed.by };
    return { tensors, scalars, inOrder, buffers, isCut, isInParts, packed: here, left };
  };
  return (unit) => {
    const plan = planFor(unit);
    const before = plan.prepared ? prepareKernels(plan.prepared, contextOf(unit)) : [];
    return [...before, ...kernelsOf(unit, plan, { stages, packed, contextOf })];
  };
}

/** Every buffer has its name before any local can take it; scratch that no output holds is packed. */
const buffersOf = (stages: readonly Stage[], tensors: Tensors) => [
  ...inputsOf(stages.flatMap(expressionsOf)).flatMap((n) => (isBareScratch(n) ? [] : tensors.ofInput(n))),
  ...stages.flatMap(outputsOf).flatMap((o) => (isBareScratch(o) ? [] : tensors.ofOutput(o))),
];

/** What need not be handed over where one kernel reduces and maps, and what is prepared. */
const handoversOf = (units: readonly Unit[], planFor: (unit: Unit) => Plan): PackOptions => ({
  isAtHand: (stage, group) =>
    units.some(
      (unit) =>
        unit.kind === 'reduce' &&
        unit.map === stage &&
        unit.group === group &&
        planFor(unit).fusion === 'always',
    ),
  preparedFor: (stage) => planFor(units.find((one) => stagesIn(one).includes(stage))!).prepared,
});

/** The first place where a value is found. */
const firstOf =
  (places: readonly Found[]): Found =>
  (scalar) => {
    for (const place of places) {
      const handed = place(scalar);
      if (handed) return handed;
    }
    return undefined;
  };

function kernelsOf(unit: Unit, { fusion }: Plan, opened: Opened): readonly Kernel[] {
  const { contextOf } = opened;
  if (unit.kind === 'map') return mapKernels(unit.stage.outputs, contextOf(unit, unit.stage));
  const { map } = unit;
  if (!map) return reduced(unit, opened);
  if (fusion === 'always') return [fused(unit, map, true, opened)];
  const apart = [...reduced(unit, opened), ...mapKernels(map.outputs, contextOf(unit, map))];
  return fusion === 'never' ? apart : [{ ...fused(unit, map, false, opened), otherwise: apart }];
}

function reduced(unit: ReduceUnit, { contextOf }: Opened): Kernel[] {
  const { stage } = unit;
  const context = contextOf(unit, stage);
  const kernel = reduceKernel(stage, context);
  if (!context.isCut || kernel.bindings.length <= mostStorageBuffers) return [kernel];
  return [...reduceKernels({ ...stage, riders: [] }, context), ...mapKernels(stage.riders, context)];
}

/** One kernel for both; it computes for itself what it has the group's results for. */
function fused(unit: ReduceUnit, map: MapStage, splits: boolean, opened: Opened): Kernel {
  const { stages, packed, contextOf } = opened;
  const { stage, group } = unit;
  const context = contextOf(unit, stage, map);
  const { found, by } = context.packed;
  const own = packed.by(group);
  const isRead = stages.some((other) => other !== map && reads(other, group));
  const here = {
    found: (scalar: Scalar): Handed | undefined => {
      const at = found(scalar);
      return at?.packing === own ? undefined : at;
    },
    by: isRead ? by : () => undefined,
  };
  return fusedKernel(stage, map, { ...context, packed: here }, splits);
}

/** Whether a stage needs what follows from a group's results. */
const reads = (stage: Stage, { epilogue }: Group): boolean => {
  const handles = epilogue.map(handleOf);
  return inputsOf(expressionsOf(stage)).some((node) => handles.includes(node));
};
