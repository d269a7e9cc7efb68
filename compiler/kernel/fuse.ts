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

interface Growing extends Fused {
  readonly stages: Stage[];
}

/**
 * Stages that can share one loop over what the first of them keeps, in an order in which each finds what it needs.
 * `handsOver` is whether later stages may find more of a stage than its outputs.
 */
export function fuse(
  stages: readonly Stage[],
  layout: readonly string[],
  handsOver: (stage: Stage) => boolean = () => false,
): Fused[] {
  const fused: Growing[] = [];
  for (const stage of stages) {
    const keeps = stage.kind === 'reduce' && keepsOutside(stage, layout);
    const home = homeOf(stage, keeps, fused, handsOver);
    if (home) home.stages.push(stage);
    else fused.push({ outer: keeps ? stage.groups[0]!.kept : [], stages: [stage] });
  }
  return fused;
}

/** The last loop that a stage can join, unless it has to wait for what comes after. */
function homeOf(
  stage: Stage,
  keeps: boolean,
  fused: readonly Growing[],
  handsOver: (stage: Stage) => boolean,
): Growing | undefined {
  const needed = inputsOf(expressionsOf(stage));
  for (const one of fused.toReversed()) {
    const produced = new Set<Expr>(one.stages.flatMap(outputsOf).map(handleOf));
    const found = needed.filter((node) => produced.has(node));
    if (one.outer.length > 0 && joins(stage, one.outer, keeps, found)) return one;
    if (found.length > 0 || overwrites(stage) || one.stages.some(handsOver)) return undefined;
  }
  return undefined;
}

/** `found` is what it needs of the stages before. */
function joins(stage: Stage, outer: Axes, keeps: boolean, found: readonly Expr[]): boolean {
  if (!found.every(({ axes }) => sameAxes(axes, outer))) return false;
  if (stage.kind === 'reduce') return keeps && sameAxes(stage.groups[0]!.kept, outer);
  return stage.outputs.every((output) => isSubset(outer, axesOf(output.axes)));
}

/** Whether it stores what other stages may read, so that it has to stay after them. */
export const overwrites = (stage: Stage): boolean => outputsOf(stage).some(({ role }) => role === 'state');
