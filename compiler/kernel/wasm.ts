/**
 * Stages to a WebAssembly kernel: phases of routines over parts of the data, which threads share. Four elements are
 * computed at a time in f32; what is small, and every merge, in f64.
 */
import { children, type Expr, isReduction, topological } from '../graph/expr.ts';
import type { Program } from '../schedule/program.ts';
import { isComputed, type Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { collectBindings, collectUniforms } from './collect.ts';
import type { Kernel, Uniform } from './kernel.ts';
import { packSmallValues } from './pack.ts';
import { formulasOf, reductionsOf, trafficOf } from './report.ts';
import { createScalars } from './scalar.ts';
import { createTensors, expressionsOf, inputsOf, outputsOf } from './tensors.ts';
import { phasesOf } from './wasm-phases.ts';
import { gap } from './wasm-reduction.ts';

/**
 * The one kernel of a program with these stages. Its tensors are row-major, with their axes in the order of `layout`;
 * what goes from phase to phase is bound as scratch.
 */
export function lowerWasm(
  entry: Entry,
  program: Program,
  stages: readonly Stage[],
  layout: readonly string[],
): Kernel {
  const tensors = createTensors(entry, program, layout);
  const buffers = [
    ...inputsOf(stages.flatMap(expressionsOf)).map(tensors.ofInput),
    ...stages.flatMap(outputsOf).map(tensors.ofOutput),
  ];
  const scalars = createScalars();
  const isVectored = !stages.some(needsDigits);
  // ties are found by comparing exactly, so what is handed over is as exact as what computes
  const dtype = isVectored ? undefined : 'f64';
  const packed = packSmallValues(stages, scalars, tensors, { dtype, gap, isUnbound: true });
  const context = { tensors, scalars, packed, isVectored, inOrder: tensors.inOrder };
  const { phases, scratch } = phasesOf(context, stages, layout);
  const body = phases.flatMap(({ routines }) => routines.flatMap((r) => r.body));
  const bindings = collectBindings(body, [...buffers, ...packed.buffers, ...scratch]);
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

/**
 * A product may leave the range of f32 on its way to a result that does not; and what ties or zeros are looked for in
 * must come out the same wherever it is computed, be it an element of a vector or a value of its own.
 */
const needsDigits = (stage: Stage): boolean =>
  topological(expressionsOf(stage)).some(comparesResults) ||
  (stage.kind === 'reduce' &&
    stage.groups.some(({ accumulations }) =>
      accumulations.some(
        ({ monoid, x }) => monoid === 'prod' || ((monoid === 'amax' || monoid === 'amin') && isComputed(x)),
      ),
    ));

/** Whether it asks if a result of arithmetic is equal to something. */
const comparesResults = (e: Expr): boolean =>
  e.op === 'compare' &&
  (e.fn === '==' || e.fn === '!=') &&
  [e.a, e.b].some((side) => children(side).length > 0 && !isReduction(side));

/** What the runtime decides comes last. */
const orderUniforms = (uniforms: readonly Uniform[], decided: ReadonlySet<string>): Uniform[] => [
  ...uniforms.filter((u) => !decided.has(u.name)),
  ...uniforms.filter((u) => decided.has(u.name)),
];
