/** What becomes a kernel: a group of reductions, with a map that goes on from it where one can. */
import { type Axes, axesOf, isSubset, sameAxes } from '../../graph/axes.ts';
import type { Expr } from '../../graph/expr.ts';
import { handleOf, isHandle } from '../../graph/handles.ts';
import type { ProgramOutput } from '../../schedule/program.ts';
import type { Group, MapStage, ReduceStage, Stage } from '../../schedule/stages.ts';
import { inputsOf } from '../tensors.ts';

/** One group of a stage. */
export interface ReduceUnit {
  readonly kind: 'reduce';
  readonly of: ReduceStage;
  readonly stage: ReduceStage;
  readonly group: Group;
  /** Computed from the group's results, and the same data once more, for each of its kept indices. */
  readonly map?: MapStage;
}

/** What no group goes on with. */
export interface MapUnit {
  readonly kind: 'map';
  readonly of: MapStage;
  readonly stage: MapStage;
}

export type Unit = ReduceUnit | MapUnit;

export const stagesIn = (unit: Unit): Stage[] =>
  unit.kind === 'reduce' && unit.map ? [unit.stage, unit.map] : [unit.stage];

/**
 * The units of a program in order. A map moves up to the group that it goes on from: nothing reads what it writes,
 * since state, which has to be read before it is written, stays where it is.
 */
export function unitsOf(stages: readonly Stage[], inOrder: (axes: Axes) => string[]): Unit[] {
  const units: Unit[] = [];
  for (const stage of stages) {
    if (stage.kind === 'reduce') {
      for (const [i, group] of stage.groups.entries()) {
        const part: ReduceStage = { ...stage, groups: [group], riders: i === 0 ? stage.riders : [] };
        units.push({ kind: 'reduce', of: stage, stage: part, group });
      }
      continue;
    }
    const at = units.findLastIndex((unit, i) => isFollowed(unit, stage, units.slice(0, i), inOrder));
    const unit = units[at];
    const goesOn = (output: ProgramOutput): boolean =>
      unit?.kind === 'reduce' && canGoOn(output, unit, units.slice(0, at));
    const own = stage.outputs.filter(goesOn);
    const rest = stage.outputs.filter((output) => !own.includes(output));
    if (unit?.kind === 'reduce') units[at] = { ...unit, map: { kind: 'map', outputs: own } };
    if (rest.length > 0) units.push({ kind: 'map', of: stage, stage: { kind: 'map', outputs: rest } });
  }
  return units;
}

/** Whether all that a map computes of the whole data can go on from this unit, and loses nothing by it. */
function isFollowed(
  unit: Unit,
  { outputs }: MapStage,
  before: readonly Unit[],
  inOrder: (axes: Axes) => string[],
): boolean {
  if (unit.kind === 'map' || unit.map || unit.stage.riders.length > 0) return false;
  const { space } = unit.stage;
  const largest = Math.max(...outputs.map(({ axes }) => axes.length));
  const whole = outputs.filter(({ axes }) => axes.length === largest);
  if (!whole.every((output) => sameAxes(axesOf(output.axes), space) && canGoOn(output, unit, before)))
    return false;
  const inputs = inputsOf(whole.map(({ expr }) => expr));
  const innermost = inOrder(space).at(-1)!;
  // what is the same all along a row would be read for each of its elements
  const isRepeated = inputs.some(({ axes }) => !isSubset(axes, unit.group.kept) && !axes.includes(innermost));
  return !isRepeated && inputs.some((node) => handlesOf(unit).has(node));
}

/** Whether an output needs nothing that is known later than the results of a unit, and is kept or whole like them. */
function canGoOn({ role, axes, expr }: ProgramOutput, unit: ReduceUnit, before: readonly Unit[]): boolean {
  const own = axesOf(axes);
  if (role === 'state' || !(sameAxes(own, unit.stage.space) || sameAxes(own, unit.group.kept))) return false;
  // groups of one stage are spread differently
  const known = [...before.filter(({ of }) => of !== unit.of), unit].map(handlesOf);
  return inputsOf([expr]).every((node) => !isHandle(node) || known.some((handles) => handles.has(node)));
}

const handlesOf = (unit: Unit): Set<Expr> =>
  new Set(unit.kind === 'reduce' ? unit.group.epilogue.map(handleOf) : []);
