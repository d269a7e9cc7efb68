/** The phases of a WebAssembly kernel, each of them needing all of the one before, and the routines they consist of. */
import type { Group, ReduceStage, Stage } from '../schedule/stages.ts';
import { elementsOf } from './axis-groups.ts';
import { createBody } from './body.ts';
import { prune } from './collect.ts';
import { type Fused, fuse, keepsOutside } from './fuse.ts';
import {
  type Binding,
  binary,
  type Code,
  greatest,
  index,
  isIndex,
  name,
  type Phase,
  type Routine,
  times,
} from './kernel.ts';
import type { Found } from './pack.ts';
import { reduceColumns } from './wasm-columns.ts';
import { finishGroup } from './wasm-finish.ts';
import { joinMapping, type Mapping, mapElements, mappingsOf } from './wasm-map.ts';
import { handsOver, isOutermost, type Pair, pairUp } from './wasm-pairs.ts';
import { prepare, preparedFor, prepareParts } from './wasm-prepare.ts';
import { columnParts, describeReduction, type Reduction } from './wasm-reduction.ts';
import {
  type Builder,
  type Context,
  closeRoutine,
  openRoutine,
  roughUnits,
  sizeOf,
  stripsOf,
} from './wasm-routine.ts';
import { reduceRows } from './wasm-rows.ts';
import { splatLoads } from './wasm-splat.ts';
import { type Beside, worthBeside } from './wasm-walk.ts';

type Scratch = Omit<Binding, 'access'>;

export interface Phases {
  readonly phases: readonly Phase[];
  /** What they need besides tensors and packed values. */
  readonly scratch: readonly Scratch[];
}

/** What the phases of one program are made with, and what they add to. */
interface Making {
  readonly context: Context;
  readonly scratch: Scratch[];
  /** What a stage finds of earlier ones. */
  readonly foundBy: (stage: Stage) => Found;
}

/** The phases of the stages in order; tensors have their axes in the order of `layout`. */
export function phasesOf(context: Context, stages: readonly Stage[], layout: readonly string[]): Phases {
  const original = new Map<Stage, Stage>();
  const parts = stages.flatMap((stage) => {
    const alone = aloneGroups(stage, layout);
    for (const part of alone) original.set(part, stage);
    return alone;
  });
  const foundBy = (stage: Stage): Found => context.packed.in(original.get(stage) ?? stage);
  const making: Making = { context, scratch: [], foundBy };
  const phases = pairUp(
    context,
    fuse(parts, layout, (stage) => handsOver(context, stage)),
    layout,
  ).flatMap((one) => ('columns' in one ? pairPhases(making, one) : phasesFor(making, one, layout)));
  return { phases, scratch: making.scratch };
}

/** Where it is worth it, the first phase of the columns runs that of the rows, which by itself has nothing left to do. */
function pairPhases(making: Making, { columns, rows, isRowsFirst }: Pair): Phase[] {
  const reduction = describe(making, columns);
  const isWorth = worthBeside(making.context, reduction);
  const phase = unless(isWorth, rowPhase(making, rows));
  const reduced = columnPhases(making, reduction, isIndex(isWorth, 0) ? undefined : { phase, isWorth });
  return isRowsFirst ? [phase, ...reduced] : [...reduced, phase];
}

/** The phase, with nothing to do where another one runs it. */
function unless(isRun: Code, phase: Phase): Phase {
  const isLeft = binary('-', index(1), isRun);
  return { ...phase, kept: times(isLeft, phase.kept), elements: times(isLeft, phase.elements) };
}

function phasesFor(making: Making, fused: Fused, layout: readonly string[]): Phase[] {
  const first = fused.stages[0]!;
  if (first.kind === 'map')
    return mappingsOf(making.context, first.outputs, [], making.foundBy(first)).flatMap((mapping) =>
      mapPhases(making, first, mapping),
    );
  return keepsOutside(first, layout)
    ? [rowPhase(making, fused)]
    : columnPhases(making, describe(making, first));
}

function describe(
  { context, scratch, foundBy }: Making,
  stage: ReduceStage,
  outer: readonly string[] = [],
  decided = context.tensors.decided('blocks'),
): Reduction {
  const reduction = describeReduction(context, stage, decided, outer, foundBy(stage));
  scratch.push(reduction.partials);
  return reduction;
}

/** A reduction that keeps the innermost axis: tiles of columns are reduced, then all are finished. */
function columnPhases(making: Making, reduction: Reduction, beside?: Beside): Phase[] {
  const { context } = making;
  const { kept: tiles, units } = columnParts(context, reduction);
  const kept = beside ? binary('-', tiles, times(beside.isWorth, binary('-', tiles, index(1)))) : tiles;
  const taken = routine(making, reduction.stage, 'reduce', 'parts', (builder) =>
    reduceColumns(builder, reduction, beside),
  );
  const elements = elementsOf(context, reduction.stage.space);
  return [
    { kept, units, strips: index(1), elements, blocks: reduction.decided, routines: [taken] },
    plain(context, sizeOf(context, reduction.kept), finish(making, reduction)),
  ];
}

/** Reductions along rows, and what follows them for the same kept index while its data is in cache. */
function rowPhase(making: Making, { outer, stages }: Fused): Phase {
  const { context } = making;
  const first = describe(making, stages[0] as ReduceStage, outer);
  const routines: Routine[] = [];
  const units: Code[] = [];
  for (const stage of stages) {
    if (stage.kind === 'map') {
      for (const mapping of mappingsOf(context, stage.outputs, outer, making.foundBy(stage))) {
        if (mapping.lanes.length > 0) units.push(roughUnits(context, [...mapping.rows, mapping.lanes]));
        routines.push(
          routine(making, stage, 'map', 'parts', (builder) => mapElements(builder, mapping, first.blocks)),
        );
      }
      continue;
    }
    const own = stage === first.stage ? first : describe(making, stage, outer, first.decided);
    units.push(roughUnits(context, own.over));
    routines.push(
      routine(making, stage, 'reduce', 'parts', (builder) => reduceRows(builder, own)),
      finish(making, own),
    );
  }
  const kept = sizeOf(context, first.kept);
  const stores = stages.some((stage) => stage.kind === 'reduce' && stage.riders.length > 0);
  return {
    kept,
    units: distinct(units).reduce(greatest),
    strips: isOutermost(context, outer, first.stage.space)
      ? index(1)
      : stripsOf(context, first.over.slice(0, -1), first.over.at(-1)!, stores),
    all: { kept, each: elementsOf(context, first.group.over) },
    elements: elementsOf(context, first.stage.space),
    blocks: first.decided,
    routines,
  };
}

/** Outputs of their own, which follow no reduction in cache. */
function mapPhases(making: Making, stage: Stage, mapping: Mapping): Phase[] {
  const { context, scratch, foundBy } = making;
  const blocks = context.tensors.decided('blocks');
  const prepared = preparedFor(context, mapping, foundBy(stage));
  const phases: Phase[] = [];
  if (prepared) {
    scratch.push(prepared.buffer);
    const preparing = routine(making, stage, 'prepare', 'parts', (builder) => prepare(builder, prepared));
    phases.push(plain(context, prepareParts(context, prepared), preparing));
  }
  const found: Found = (scalar) => {
    const slot = prepared?.slots.get(scalar);
    return slot === undefined ? foundBy(stage)(scalar) : { packing: prepared!, slot };
  };
  const joined = joinMapping(context, mapping, found);
  const body = (builder: Builder): void => mapElements(builder, joined, name(blocks.name, 'index'));
  phases.push({
    kept: sizeOf(context, mapping.kept),
    units: mapping.lanes.length > 0 ? roughUnits(context, [...mapping.rows, mapping.lanes]) : index(1),
    strips: index(1),
    elements: elementsOf(context, mapping.outputs[0]!.axes),
    blocks,
    routines: [routine(making, stage, 'map', 'parts', body, found)],
  });
  return phases;
}

/** A phase of one routine, which is not cut into blocks. */
function plain({ tensors }: Context, kept: Code, only: Routine): Phase {
  const blocks = tensors.decided('blocks');
  return { kept, units: index(1), strips: index(1), elements: kept, blocks, routines: [only] };
}

/** Groups are merged from blocks and finished, each kept index for itself. */
const finish = (making: Making, reduction: Reduction): Routine =>
  routine(making, reduction.stage, 'finish', 'kept', (builder) => finishGroup(builder, reduction));

function routine(
  { context, foundBy }: Making,
  stage: Stage,
  base: string,
  over: Routine['over'],
  body: (builder: Builder) => void,
  found = foundBy(stage),
): Routine {
  const builder = openRoutine(context, (names) =>
    createBody(context.tensors, names, { scalars: context.scalars, packed: found }),
  );
  body(builder);
  const { body: statements, ...rest } = closeRoutine(builder, base, over);
  return { ...rest, body: splatLoads(prune(statements)) };
}

const distinct = (codes: readonly Code[]): Code[] => [
  ...new Map(codes.map((code) => [JSON.stringify(code), code])).values(),
];

/** A stage for each group, those that sum over the innermost axis last, where what follows can join them. */
function aloneGroups(stage: Stage, layout: readonly string[]): Stage[] {
  if (stage.kind === 'map' || stage.groups.length === 1) return [stage];
  const innermost = layout.filter((axis) => stage.space.includes(axis)).at(-1)!;
  const isRows = ({ over }: Group): number => Number(over.includes(innermost));
  const groups = [...stage.groups].sort((a, b) => isRows(a) - isRows(b));
  return groups.map((group, i) => ({ ...stage, groups: [group], riders: i === 0 ? stage.riders : [] }));
}
