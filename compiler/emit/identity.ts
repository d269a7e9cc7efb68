/**
 * What tells kernels and routines apart: texts that nobody reads, with all that makes a difference to what is emitted.
 * What readers see is made for them, and may leave some of it out.
 */
import type { Kernel, Routine } from '../kernel/kernel.ts';
import { type Language, printStatements } from './printer.ts';
import { typescript } from './typescript.ts';
import { wasmText } from './wasm-text.ts';
import { printWgsl } from './wgsl.ts';

const ofCpu: Language = {
  ...typescript,
  fold: (merge, name, copies) => `fold(${merge}, ${name}, ${copies})`,
  statements: {
    ...typescript.statements,
    lanes: ({ name, from, below, copies, body }, print, block) =>
      `lanes ${name} ${print(from)} ${print(below)} ${copies} ${block(body)}`,
    accumulator: ({ name, copies, identity }) => `${name} ${copies} ${identity}`,
  },
};

/** All types follow from those of numbers and loads. */
const ofWasm: Language = {
  ...wasmText,
  number: (value, type) => `${type} ${Object.is(value, -0) ? '-0' : value}`,
  load: (array, index, _, type) => `${array}[${type} ${index}]`,
  fold: (merge, name, copies) => `fold(${merge}, ${name}, ${copies})`,
  statements: {
    ...wasmText.statements,
    let: ({ name, value }, print) => `let ${name} = ${print(value)}`,
    for: ({ name, from, below, step, body }, print, block) =>
      `for ${name} ${print(from)} ${print(below)} ${print(step)}${block(body)}`,
    lanes: ({ name, from, below, copies, isOpen = false, body }, print, block) =>
      `lanes ${name} ${print(from)} ${print(below)} ${copies} ${isOpen}${block(body)}`,
    rows: ({ name, step, from, together, distance, apart, next, neighbours, below, body }, print, block) =>
      `rows ${name} ${print(step)} ${print(from)} ${print(together)} ${apart} ${print(distance)}` +
      ` ${print(next)} ${print(below)} ${neighbours}${block(body)}`,
    run: ({ phase, from, below }, print) =>
      `run ${phase.routines.map(identityOf)} ${print(from)} ${print(below)}`,
    call: ({ function: name, from, below }, print) => `call ${name} ${print(from)} ${print(below)}`,
  },
};

const ofRoutines = new WeakMap<Routine, string>();

/** Of routines that read the same numbers of a call. */
export function identityOf(routine: Routine): string {
  const { over, begin, end, body } = routine;
  const known = ofRoutines.get(routine) ?? [over, begin, end, printStatements(body, ofWasm, '')].join('\n');
  ofRoutines.set(routine, known);
  return known;
}

/** Kernels that have it in common do the same. */
export function identityOfKernel(kernel: Kernel): string {
  const { target, bindings, uniforms, tiles, vector, reductions } = kernel;
  return JSON.stringify([target, bindings, uniforms, tiles, vector, reductions, bodies[target](kernel)]);
}

const bodies: { readonly [T in Kernel['target']]: (kernel: Kernel) => unknown } = {
  cpu: ({ body }) => printStatements(body, ofCpu, ''),
  wasm: ({ phases }) =>
    phases.map((phase) => ({ ...phase, routines: phase.routines.map((r) => [r.name, identityOf(r)]) })),
  gpu: (kernel) => printWgsl(kernel, 'main', []),
};
