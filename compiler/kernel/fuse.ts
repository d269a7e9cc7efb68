/** Which stages share one outer loop on the CPU, so that what follows a reduction finds its data in cache. */
import { type Axes, axesOf, isSubset, sameAxes } from '../graph/axes.ts';
import type { Expr } from '../graph/expr.ts';
import { handleOf } from '../graph/handles.ts';
import type { ReduceStage, Stage } from '../schedule/stages.ts';
import { expressionsOf, inputsOf, outputsOf } from './tensors.ts';

/** Stages that run inside one loop over `outer`. */
export interface Fused {
  readonly outer: Axes;
  readonly stages: readonly Stage[];
}

/** Whether a single group's kept axes can be the outer loops without striding through memory. */
export function keepsOutside(stage: ReduceStage, layout: readonly string[]): boolean {
  const [group, ...others] = stage.groups;
  if (!group || others.length > 0) return false;
  const innermost = layout.filter((axis) => stage.space.includes(axis)).at(-1);
  return group.kept.length === 0 || (innermost !== undefined && group.over.includes(innermost));
}

/** Runs of stages that can share one loop over what the first of them keeps. */
export function fuse(stages: readonly Stage[], layout: readonly string[]): Fused[] {
  const fused: { outer: Axes; stages: Stage[] }[] = [];
  for (const stage of stages) {
    const last = fused.at(-1);
    const keeps = stage.kind === 'reduce' && keepsOutside(stage, layout);
    if (last && last.outer.length > 0 && joins(stage, last.outer, keeps, last.stages))
      last.stages.push(stage);
    else fused.push({ outer: keeps ? stage.groups[0]!.kept : [], stages: [stage] });
  }
  return fused;
}

function joins(stage: Stage, outer: Axes, keeps: boolean, before: readonly Stage[]): boolean {
  const produced = new Set<Expr>(before.flatMap(outputsOf).map(handleOf));
  const local = inputsOf(expressionsOf(stage)).every(
    (node) => !produced.has(node) || sameAxes(node.axes, outer),
  );
  if (!local) return false;
  if (stage.kind === 'reduce') return keeps && sameAxes(stage.groups[0]!.kept, outer);
  return stage.outputs.every((output) => isSubset(outer, axesOf(output.axes)));
}
