/** How a direction is computed: what is saved for it, in which stages, by which kernels. */
import { invariant } from '../diagnostics.ts';
import type { Axes } from '../graph/axes.ts';
import { type Expr, topological } from '../graph/expr.ts';
import type { Forward } from '../graph/formulas.ts';
import { lowerCpu } from '../kernel/cpu.ts';
import { lowerGpu } from '../kernel/gpu.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { formulasOf } from '../kernel/report.ts';
import { outputsOf } from '../kernel/tensors.ts';
import {
  differentiable,
  type Program,
  type ProgramOutput,
  type Programs,
  programsOf,
} from '../schedule/program.ts';
import { type Stage, stagesOf } from '../schedule/stages.ts';
import type { Explained } from './part.ts';

export interface Saved {
  readonly name: string;
  readonly axes: Axes;
  /** What it is, unless it is a return of the forward anyway, and nothing more is stored. */
  readonly expr?: Expr;
}

export interface Plan {
  readonly program: Program;
  readonly saved: readonly Saved[];
  readonly stages: readonly Stage[];
  readonly gpu: readonly GpuKernel[];
  readonly cpu: Kernel;
}

export interface GpuKernel {
  readonly kernel: Kernel;
  /** The stage it belongs to, from 0. */
  readonly stage: number;
  readonly outputs: readonly ProgramOutput[];
}

/** The program of a direction in the first layout, for all of its outputs or some. */
export function planOf(
  forward: Forward,
  direction: Explained,
  isWanted: (output: ProgramOutput) => boolean = () => true,
): Plan {
  const wrt = [differentiable(forward).map(({ name }) => name)];
  const entry = { ...forward.entry, generate: [direction], wrt };
  const programs = programsOf({ ...forward, entry });
  const whole = wholeOf(programs, direction);
  const program = { ...whole, outputs: whole.outputs.filter(isWanted) };
  const stages = stagesOf(program);
  const layout = entry.layouts[0]!;
  const saved = inputNodes(program.outputs.map(({ expr }) => expr))
    .filter(({ role }) => role === 'saved')
    .map(({ of, axes }): Saved => {
      const stored = programs.forward.outputs.find((output) => output.role === 'saved' && output.of === of);
      return { name: of, axes, ...(stored && { expr: stored.expr }) };
    });
  return {
    program,
    saved,
    stages,
    gpu: lowerGpu(entry, program, stages, layout).map((kernel) => placeOf(kernel, stages)),
    cpu: lowerCpu(entry, program, stages, layout),
  };
}

/** The program for all gradients, which is the last one. */
function wholeOf(programs: Programs, direction: Explained): Program {
  const program = direction === 'jvp' ? programs.jvp : programs[direction].at(-1);
  invariant(program, `there is no ${direction}`);
  return program;
}

export const inputNodes = (exprs: readonly Expr[]): Extract<Expr, { op: 'input' }>[] =>
  topological(exprs).filter((node) => node.op === 'input');

/** The stage whose formulas a kernel computes. */
function placeOf(kernel: Kernel, stages: readonly Stage[]): GpuKernel {
  for (const [i, stage] of stages.entries()) {
    const texts = formulasOf([stage]);
    if (kernel.formulas.length > 0 && !kernel.formulas.every((text) => texts.includes(text))) continue;
    const outputs = outputsOf(stage).filter((_, k) => kernel.formulas.includes(texts[k]!));
    return { kernel, stage: i, outputs };
  }
  return { kernel, stage: stages.length - 1, outputs: [] };
}

/** How many reductions a plan makes. */
export const reductionCount = ({ stages }: Plan): number =>
  stages.reduce(
    (n, stage) =>
      stage.kind === 'map' ? n : stage.groups.reduce((m, { accumulations }) => m + accumulations.length, n),
    0,
  );
