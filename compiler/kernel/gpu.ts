/**
 * Stages to WGSL-shaped kernels. Each is spread over workgroups by what it keeps, a tile of kept indices each. How many
 * lanes a workgroup has, how many of them share a kept index, and into how many blocks its elements are cut, are numbers
 * that the runtime chooses: see `planOf` in `runtime/model.ts`.
 */
import { orderOf } from '../graph/axes.ts';
import { isOptimised, type Program } from '../schedule/program.ts';
import type { Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { mostStorageBuffers } from './bound.ts';
import { apart } from './gpu/apart.ts';
import { openUnits, type Plan } from './gpu/open.ts';
import { preparationFor } from './gpu/prepare.ts';
import { stagesIn, type Unit, unitsOf } from './gpu/units.ts';
import type { Kernel } from './kernel.ts';
import { outputsOf } from './tensors.ts';

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

/**
 * The kernels of a program with these stages, in the order they run. Their tensors are row-major, with their axes in the
 * order of `layout`. None binds more buffers than every device allows, if any plan avoids it.
 */
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
