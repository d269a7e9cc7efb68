/** A kernel that evaluates graphs on the tensors that it is given. */
import type { Expr } from '../compiler/graph/expr.ts';
import type { Forward } from '../compiler/graph/formulas.ts';
import { arrange, type Value } from '../compiler/graph/interpret.ts';
import { finish } from '../compiler/graph/rebuild.ts';
import type { BindingDescription, CpuKernelDescription, Role, UniformDescription } from '../runtime/index.ts';
import { evaluate } from './evaluate.ts';

/** One tensor that a kernel computes. */
export interface Result {
  readonly role: Role;
  readonly of: string;
  readonly axes: readonly string[];
  readonly expr: Expr;
}

/** What a kernel is called with, and what it computes: derived when it is first run. */
export interface Computation {
  readonly name: string;
  readonly bindings: readonly BindingDescription[];
  readonly results: () => readonly Result[];
}

/** What forward keeps of a state that it overwrites. */
export const old = (state: string): string => `old:${state}`;

type Argument = Float64Array | Float32Array | number;

/** Called like a generated function: the arrays of the bindings in order, then the numbers of the uniforms. */
export function interpretedKernel(
  forward: Forward,
  uniforms: readonly UniformDescription[],
  { name, bindings, results }: Computation,
): CpuKernelDescription {
  let derived: readonly Result[] | undefined;
  const run = (...values: readonly Argument[]): void => {
    derived ??= results().map((result) => ({ ...result, expr: finish([result.expr])[0]! }));
    const numbers = Object.fromEntries(
      uniforms.map((uniform, i) => [uniform.name, values[bindings.length + i] as number]),
    );
    const roots = derived.map(({ expr }) => expr);
    const computed = evaluate(forward, roots, numbers, readerOf(bindings, values));
    const sizes = new Map(Object.entries(numbers));
    for (const [i, { role, of }] of derived.entries()) {
      const place = placeOf(bindings, role, of);
      (values[place] as Float64Array).set(arrange(computed[i]!, bindings[place]!.axes, sizes).data);
    }
  };
  return { name, bindings, uniforms, run: run as (...args: never[]) => void };
}

/** What tensors hold, by role and name. A state that forward has overwritten is read where it is saved. */
function readerOf(bindings: readonly BindingDescription[], values: readonly Argument[]) {
  const read = (role: string, of: string): Value<number> => {
    const i = placeOf(bindings, role, of);
    if (i < 0 && role === 'input') return read('saved', old(of));
    return { axes: bindings[i]!.axes, data: values[i] as unknown as readonly number[] };
  };
  return read;
}

/** Graphs know state as an input. */
const placeOf = (bindings: readonly BindingDescription[], role: string, of: string): number =>
  bindings.findIndex((b) => b.of === of && (b.role === role || (b.role === 'state' && role === 'input')));
