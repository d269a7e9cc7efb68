/**
 * Stages to WGSL-shaped kernels. Each is spread over workgroups by what it keeps, a tile of kept indices each. How many
 * lanes a workgroup has, how many of them share a kept index, and into how many blocks its elements are cut, are numbers
 * that the runtime chooses: see `planOf` in `runtime/model.ts`.
 */
import { orderOf } from '../graph/axes.ts';
import { handleOf, isBareScratch } from '../graph/handles.ts';
import { isOptimised, type Program } from '../schedule/program.ts';
import type { Group, Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { mostStorageBuffers } from './bound.ts';
import { apart } from './gpu/apart.ts';
import type { Context } from './gpu/build.ts';
import { mapKernels } from './gpu/map.ts';
import { preparationFor, prepareKernels } from './gpu/prepare.ts';
import { fusedKernel, reduceKernel, reduceKernels } from './gpu/reduce.ts';
import { type ReduceUnit, type Unit, unitsOf } from './gpu/units.ts';
import type { Kernel } from './kernel.ts';
import { type Found, type Handed, type Preparation, packSmallValues } from './pack.ts';
import { createScalars } from './scalar.ts';
import type { Scalar } from './scalar-build.ts';
import { allChosen, createTensors, expressionsOf, inputsOf, outputsOf } from './tensors.ts';

/** How a unit becomes kernels. Devices allow a kernel few buffers, so of these the first is chosen that binds no more. */
interface Plan {
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

/** What is left where no other plan will do. */
const lastPlan: Plan = { fusion: 'never', isCut: true, isInParts: true };

/** A choice between kernels takes many, so only some directions have one. */
function plansOf(unit: Unit, { direction }: Program): Plan[] {
  const stages = stagesIn(unit);
  const fusions: Plan['fusion'][] = isOptimised(direction)
    ? ['always', 'whole', 'never']
    : ['always', 'never'];
  const direct = (stages.length > 1 ? fusions : (['never'] as const)).map((fusion): Plan => ({ fusion }));
  const prepared = preparationFor(stages);
  const others = prepared ? direct.filter(({ fusion }) => fusion !== 'whole') : [];
  const whole = [...direct, ...others.map((plan) => ({ ...plan, prepared: prepared! }))];
  return [...whole, ...whole.map((plan) => ({ ...plan, isCut: true }))];
}

const stagesIn = (unit: Unit): Stage[] =>
  unit.kind === 'reduce' && unit.map ? [unit.stage, unit.map] : [unit.stage];

export function lowerGpu(
  entry: Entry,
  program: Program,
  stages: readonly Stage[],
  layout: readonly string[],
): Kernel[] {
  let units = unitsOf(stages, orderOf(layout));
  const plans = new Map<Unit, Plan[]>();
  const plansFor = (unit: Unit): Plan[] => {
    const own = plans.get(unit) ?? plansOf(unit, program);
    plans.set(unit, own);
    return own;
  };
  const used = new Set(stages.flatMap(outputsOf).map(({ of }) => of));
  const final = new Set<Unit>();
  /** Has a unit planned otherwise the next time: by its next plan, as several units, or as ever it can be. */
  const replan = (unit: Unit): void => {
    if (plansFor(unit).length > 1) {
      plansFor(unit).shift();
      return;
    }
    const parts = apart(unit, used);
    if (parts.length === 1) {
      plans.set(unit, [lastPlan]);
      final.add(unit);
    }
    for (const { of } of parts.flatMap(stagesIn).flatMap(outputsOf)) used.add(of);
    units = units.flatMap((one) => (one === unit ? parts : [one]));
  };
  for (;;) {
    const lower = openUnits(entry, program, units, layout, (unit) => plansFor(unit)[0]!);
    const lowered = units.map((unit) => ({ unit, kernels: lower(unit) }));
    const tooMuch = lowered.filter(({ unit, kernels }) => !final.has(unit) && !kernels.every(isBindable));
    if (tooMuch.length === 0) return lowered.flatMap(({ kernels }) => kernels);
    for (const { unit } of tooMuch) replan(unit);
  }
}

const isBindable = ({ bindings, otherwise = [] }: Kernel): boolean =>
  bindings.length <= mostStorageBuffers && otherwise.every(isBindable);

/** What gives the kernels of each unit, as it is planned; units are asked for in order. */
function openUnits(
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
  // every buffer has its name before any local can take it; scratch that no output holds is packed
  const buffers = [
    ...inputsOf(stages.flatMap(expressionsOf)).flatMap((n) => (isBareScratch(n) ? [] : tensors.ofInput(n))),
    ...stages.flatMap(outputsOf).flatMap((o) => (isBareScratch(o) ? [] : tensors.ofOutput(o))),
  ];
  const scalars = createScalars();
  const isAtHand = (stage: Stage, group: Group): boolean =>
    units.some(
      (unit) =>
        unit.kind === 'reduce' &&
        unit.map === stage &&
        unit.group === group &&
        planFor(unit).fusion === 'always',
    );
  const preparedFor = (stage: Stage): Preparation | undefined => {
    const unit = units.find((one) => stagesIn(one).includes(stage))!;
    return planFor(unit).prepared;
  };
  const packed = packSmallValues(stages, scalars, tensors, { isAtHand, preparedFor });
  const left = new Map<Scalar, Handed>();
  const contextOf = (unit: Unit, ...own: readonly Stage[]): Context => {
    const places = own.map(packed.in);
    const found: Found = (scalar) => {
      for (const place of places) {
        const handed = place(scalar);
        if (handed) return handed;
      }
      return left.get(scalar);
    };
    const { isCut = false, isInParts = false } = planFor(unit);
    return {
      tensors,
      scalars,
      inOrder,
      buffers: [...buffers, ...packed.buffers],
      isCut,
      isInParts,
      packed: { found, by: packed.by },
      left,
    };
  };

  const reduced = (unit: ReduceUnit): Kernel[] => {
    const { stage } = unit;
    const context = contextOf(unit, stage);
    const kernel = reduceKernel(stage, context);
    if (!context.isCut || kernel.bindings.length <= mostStorageBuffers) return [kernel];
    return [...reduceKernels({ ...stage, riders: [] }, context), ...mapKernels(stage.riders, context)];
  };
  /** One kernel for both; it computes for itself what it has the group's results for. */
  const fused = (unit: ReduceUnit, splits: boolean): Kernel => {
    const { stage, group, map } = unit;
    const context = contextOf(unit, stage, map!);
    const { found, by } = context.packed;
    const own = packed.by(group);
    const isRead = stages.some((other) => other !== map && reads(other, group));
    const here = {
      found: (scalar: Parameters<Found>[0]) => {
        const at = found(scalar);
        return at?.packing === own ? undefined : at;
      },
      by: isRead ? by : () => undefined,
    };
    return fusedKernel(stage, map!, { ...context, packed: here }, splits);
  };
  const kernelsOf = (unit: Unit): readonly Kernel[] => {
    if (unit.kind === 'map') return mapKernels(unit.stage.outputs, contextOf(unit, unit.stage));
    if (!unit.map) return reduced(unit);
    const { fusion } = planFor(unit);
    if (fusion === 'always') return [fused(unit, true)];
    const apart = [...reduced(unit), ...mapKernels(unit.map.outputs, contextOf(unit, unit.map))];
    return fusion === 'never' ? apart : [{ ...fused(unit, false), otherwise: apart }];
  };
  return (unit) => {
    const { prepared } = planFor(unit);
    return [...(prepared ? prepareKernels(prepared, contextOf(unit)) : []), ...kernelsOf(unit)];
  };
}

/** Whether a stage needs what follows from a group's results. */
const reads = (stage: Stage, { epilogue }: Group): boolean => {
  const handles = epilogue.map(handleOf);
  return inputsOf(expressionsOf(stage)).some((node) => handles.includes(node));
};
