/**
 * Stages to a WebAssembly kernel: phases of routines over parts of the data, which threads share. Four elements are
 * computed at a time in f32; what is small, and every merge, in f64.
 */
import type { Program, ProgramOutput } from '../schedule/program.ts';
import type { ReduceStage, Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { createBody } from './body.ts';
import { collectBindings, collectUniforms, prune } from './collect.ts';
import { fuse } from './fuse.ts';
import {
  type Code,
  greatest,
  index,
  type Kernel,
  name,
  type Phase,
  type Routine,
  times,
  type Uniform,
} from './kernel.ts';
import { packSmallValues } from './pack.ts';
import { formulasOf, reductionsOf, trafficOf } from './report.ts';
import { createScalars } from './scalar.ts';
import { createTensors, expressionsOf, inputsOf, outputsOf } from './tensors.ts';
import { reduceColumns } from './wasm-columns.ts';
import { finishGroup } from './wasm-finish.ts';
import { columnMapParts, type Mapping, mapColumns, mapElements, mappingsOf, mapUnits } from './wasm-map.ts';
import { columnParts, describeReduction, type Reduction, rowUnits } from './wasm-reduction.ts';
import { asFormula, type Builder, type Context, closeRoutine, openRoutine, sizeOf } from './wasm-routine.ts';
import { reduceRows } from './wasm-rows.ts';

export function lowerWasm(
  entry: Entry,
  program: Program,
  stages: readonly Stage[],
  layout: readonly string[],
): Kernel {
  const tensors = createTensors(entry, program, layout);
  const inOrder = (axes: readonly string[]): string[] => layout.filter((axis) => axes.includes(axis));
  const buffers = [
    ...inputsOf(stages.flatMap(expressionsOf)).map(tensors.ofInput),
    ...stages.flatMap(outputsOf).map(tensors.ofOutput),
  ];
  const scalars = createScalars();
  const isVectored = !stages.some(needsDigits);
  // ties are found by comparing exactly, so what is handed over is as exact as what computes
  const packed = packSmallValues(stages, scalars, tensors, inOrder, isVectored ? undefined : 'f64');
  const context: Context = { program, tensors, scalars, packed, isVectored, inOrder };
  const scratch = [...packed.buffers];
  const phases: Phase[] = [];

  const routine = (
    stage: Stage,
    base: string,
    over: Routine['over'],
    body: (builder: Builder) => void,
  ): Routine => {
    const builder = openRoutine(context, (names) =>
      createBody(tensors, names, { scalars, packed: packed.in(original.get(stage) ?? stage) }),
    );
    body(builder);
    const { body: statements, ...rest } = closeRoutine(builder, base, over);
    return { ...rest, body: prune(statements) };
  };
  const original = new Map<Stage, Stage>();
  const parts = stages.flatMap((stage) => {
    const alone = aloneGroups(stage, layout);
    for (const part of alone) original.set(part, stage);
    return alone;
  });

  /** Groups are merged from blocks and finished, each kept index for itself. */
  const finish = (reduction: Reduction): Routine =>
    routine(reduction.stage, 'finish', 'kept', (builder) => finishGroup(builder, reduction));

  for (const { outer, stages: inside } of fuse(parts, layout)) {
    const blocks = tensors.decided('blocks');
    const blockCount = name(blocks.name, 'index');
    const [first] = inside;
    if (first?.kind === 'map') {
      for (const mapping of mappingsOf(context, first.outputs, [])) {
        phases.push(mapPhase(first, mapping));
      }
      continue;
    }
    const reduction = describeReduction(context, first as ReduceStage, blockCount, outer);
    scratch.push(reduction.partials, ...(reduction.columns ? [reduction.columns] : []));
    const elements = times(...inOrder(reduction.stage.space).map(tensors.size));
    if (reduction.isColumns) {
      const { kept, units } = columnParts(context, reduction, asFormula);
      const taken = routine(first!, 'reduce', 'parts', (builder) => reduceColumns(builder, reduction));
      phases.push({ kept, units, elements, blocks, routines: [taken] });
      phases.push(small(sizeOf(context, reduction.kept), finish(reduction)));
      continue;
    }
    const routines: Routine[] = [];
    const units: Code[] = [];
    for (const stage of inside) {
      if (stage.kind === 'map') {
        for (const mapping of mappingsOf(context, stage.outputs, outer)) {
          if (mapping.lanes.length > 0) units.push(mapUnits(context, mapping, asFormula).count);
          routines.push(
            routine(stage, 'map', 'parts', (builder) => mapElements(builder, mapping, blockCount)),
          );
        }
        continue;
      }
      const own = stage === first ? reduction : describeReduction(context, stage, blockCount, outer);
      if (own !== reduction) scratch.push(own.partials);
      units.push(rowUnits(context, own, asFormula).count);
      routines.push(
        routine(stage, 'reduce', 'parts', (builder) => reduceRows(builder, own)),
        finish(own),
      );
    }
    phases.push({
      kept: sizeOf(context, reduction.kept),
      units: distinct(units).reduce(greatest),
      elements,
      blocks,
      routines,
    });
  }

  /** Outputs of their own, which follow no reduction in cache. */
  function mapPhase(stage: Stage, mapping: Mapping): Phase {
    const own = tensors.decided('blocks');
    const { isColumns, lanes, kept } = mapping;
    const isCut = !isColumns && lanes.length > 0;
    return {
      kept: isColumns ? columnMapParts(context, mapping) : sizeOf(context, kept),
      units: isCut ? mapUnits(context, mapping, asFormula).count : index(1),
      elements: times(...inOrder([...mapping.outputs[0]!.axes]).map(tensors.size)),
      blocks: own,
      routines: [
        routine(stage, 'map', 'parts', (builder) => {
          if (isColumns) mapColumns(builder, mapping);
          else mapElements(builder, mapping, name(own.name, 'index'));
        }),
      ],
    };
  }

  function small(kept: Code, only: Routine): Phase {
    return { kept, units: index(1), elements: kept, blocks: tensors.decided('blocks'), routines: [only] };
  }

  const body = phases.flatMap(({ routines }) => routines.flatMap((r) => r.body));
  const bindings = collectBindings(body, [...buffers, ...scratch]);
  const lengths = bindings.flatMap(({ length }) => (length ? [length] : []));
  const counts = phases.flatMap(({ kept, units, elements }) => [kept, units, elements]);
  const decided = new Set(phases.map(({ blocks }) => blocks.name));
  return {
    target: 'wasm',
    bindings,
    uniforms: orderUniforms(collectUniforms(body, [...lengths, ...counts], tensors), decided),
    body,
    phases,
    shared: [],
    reductions: reductionsOf(stages),
    traffic: trafficOf(body, bindings, []),
    formulas: formulasOf(stages),
  };
}

const distinct = (codes: readonly Code[]): Code[] => [
  ...new Map(codes.map((code) => [JSON.stringify(code), code])).values(),
];

/**
 * A product may leave the range of f32 on its way to a result that does not; and what ties are looked for in must come
 * out the same wherever it is computed, be it an element of a vector or a value of its own.
 */
const needsDigits = (stage: Stage): boolean =>
  stage.kind === 'reduce' &&
  stage.groups.some(({ accumulations }) =>
    accumulations.some(
      ({ monoid, x }) => monoid === 'prod' || ((monoid === 'amax' || monoid === 'amin') && x.op !== 'input'),
    ),
  );

/** A stage for each group, those that sum over the innermost axis last, where what follows can join them. */
function aloneGroups(stage: Stage, layout: readonly string[]): Stage[] {
  if (stage.kind === 'map' || stage.groups.length === 1) return [stage];
  const innermost = layout.filter((axis) => stage.space.includes(axis)).at(-1)!;
  const isRows = (k: number): number => Number(stage.groups[k]!.over.includes(innermost));
  const order = stage.groups.map((_, k) => k).sort((a, b) => isRows(a) - isRows(b));
  return order.map((k, i) => ({
    ...stage,
    groups: [stage.groups[k]!],
    riders: i === 0 ? stage.riders : ([] as ProgramOutput[]),
  }));
}

/** What the runtime decides comes last. */
const orderUniforms = (uniforms: readonly Uniform[], decided: ReadonlySet<string>): Uniform[] => [
  ...uniforms.filter((u) => !decided.has(u.name)),
  ...uniforms.filter((u) => decided.has(u.name)),
];
