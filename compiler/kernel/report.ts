/** What a kernel does, for the manifest and for comments: its reductions, its traffic, its formulas. */
import { type Expr, isReduction } from '../graph/expr.ts';
import { handleOf } from '../graph/handles.ts';
import { formula, tensorName } from '../graph/print.ts';
import type { Accumulation, Stage } from '../schedule/stages.ts';
import { codesOf, eachOperand } from './collect.ts';
import type { Binding, Code, Kernel, ReductionReport, Statement } from './kernel.ts';
import { outputsOf } from './tensors.ts';

const describe: { readonly [K in Accumulation['monoid']]: string } = {
  sum: 'sum',
  moments: 'mean and var',
  amax: 'amax',
  amin: 'amin',
  prod: 'prod',
};

export const reductionsOf = (stages: readonly Stage[]): ReductionReport[] =>
  stages.flatMap((stage) =>
    stage.kind === 'map'
      ? []
      : stage.groups.flatMap(({ accumulations }) =>
          accumulations.map(({ monoid, x, over }) => ({
            op: describe[monoid],
            over: [...over],
            of: formula(x),
          })),
        ),
  );

/**
 * One line an output, reductions spelled out. One that a stage leaves to later ones stands in their formulas as it is, since
 * code has a name of its own for it.
 */
export function formulasOf(stages: readonly Stage[]): string[] {
  const spelled = new Map<Expr, string>();
  return stages.flatMap(outputsOf).flatMap((output) => {
    const text = spelled.get(output.expr) ?? formula(output.expr, (e) => spelled.get(e));
    if (output.role === 'scratch' && isReduction(output.expr)) {
      spelled.set(handleOf(output), text);
      return [];
    }
    return [`${tensorName(output.role, output.of)} = ${text}`];
  });
}

/**
 * How often each element of each buffer is read and written: every load or store inside loops over exactly its axes
 * counts once. `root` are the axes over which the kernel as a whole is spread.
 */
export function trafficOf(
  body: readonly Statement[],
  bindings: readonly Binding[],
  root: readonly string[],
): Kernel['traffic'] {
  const counts = new Map(bindings.map(({ name, axes }) => [name, { axes, reads: 0, writes: 0 }]));
  const touch = (array: string, kind: 'reads' | 'writes', loops: readonly string[]): void => {
    const count = counts.get(array);
    if (count && count.axes.length === loops.length && count.axes.every((axis) => loops.includes(axis)))
      count[kind]++;
  };
  const loads = (code: Code, loops: readonly string[]): void => {
    if (code.code === 'load') touch(code.array, 'reads', loops);
    eachOperand(code, (operand) => loads(operand, loops));
  };
  const walk = (statements: readonly Statement[], loops: readonly string[]): void => {
    for (const s of statements) {
      for (const code of codesOf(s)) loads(code, loops);
      if (s.do === 'store') touch(s.array, 'writes', loops);
      if ('body' in s) walk(s.body, 'axes' in s ? [...loops, ...s.axes] : loops);
    }
  };
  walk(body, root);
  return [...counts].map(([name, { reads, writes }]) => ({ name, reads, writes }));
}
