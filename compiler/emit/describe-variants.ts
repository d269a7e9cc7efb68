/** The variants of an op's description, as text: what they require, and which kernels their directions run. */
import type { CompiledDirection, CompiledVariant } from '../compile.ts';
import { invariant } from '../diagnostics.ts';
import type { Condition } from '../graph/formulas.ts';
import type { Code, Kernel, Statement } from '../kernel/kernel.ts';
import { createNames } from '../kernel/names.ts';
import { createNest } from '../kernel/nest.ts';
import { createScalars } from '../kernel/scalar.ts';
import { describedNumber } from './describe-kernel.ts';
import type { EmitOptions } from './header.ts';
import { list, quote, record } from './literals.ts';
import type { EmittedOp } from './op.ts';
import { printCode, printStatements } from './printer.ts';
import { typescript } from './typescript.ts';

/** Gives a reference to the description of a direction. */
export type Refer = (direction: CompiledDirection) => string;

export function variantText({ key, forward, layouts }: CompiledVariant, refer: Refer): string {
  const requirements = forward.conditions.map(
    (condition) => `{ test: ${testText(condition)}, message: ${quote(condition.message)} }`,
  );
  const byOrder = layouts.map(({ order, directions }): [string, string] => [
    order.join(' '),
    layoutText(directions, refer),
  ]);
  const parts: [string, string][] = [];
  if (requirements.length > 0) parts.push(['requirements', list(requirements)]);
  parts.push(['layouts', record(byOrder)]);
  return `${quote(key)}: ${record(parts)}`;
}

function layoutText(directions: readonly CompiledDirection[], refer: Refer): string {
  const of = (direction: CompiledDirection['direction']): CompiledDirection[] =>
    directions.filter((d) => d.direction === direction);
  const bySubset = (members: readonly CompiledDirection[]): string =>
    record(members.map((d): [string, string] => [d.wrt.join(' '), refer(d)]));
  const parts: [string, string][] = [
    ['forward', refer(of('forward')[0]!)],
    ['backward', bySubset(of('backward'))],
  ];
  if (of('jvp')[0]) parts.push(['jvp', refer(of('jvp')[0]!)]);
  if (of('double_backward').length > 0) parts.push(['double_backward', bySubset(of('double_backward'))]);
  return record(parts);
}

/** The kernels that a direction runs on each target. */
export function directionText(
  { cpu, wasm, gpu }: CompiledDirection,
  { nameOf }: Pick<EmittedOp, 'nameOf'>,
  { targets }: EmitOptions,
  /** Kernels to describe in place, by name. */
  alone: ReadonlyMap<string, string>,
): string {
  const gpuText = (kernel: Kernel): string => {
    const own = `gpu.${nameOf(kernel)}`;
    return kernel.otherwise ? `{ ...${own}, otherwise: ${list(kernel.otherwise.map(gpuText))} }` : own;
  };
  const parts: [string, string][] = [];
  if (targets.includes('typescript'))
    parts.push(['cpu', list([alone.get(nameOf(cpu)) ?? `cpu.${nameOf(cpu)}`])]);
  if (targets.includes('wasm')) parts.push(['wasm', list([`wasm.${nameOf(wasm)}`])]);
  if (targets.includes('wgsl')) parts.push(['gpu', list(gpu.map(gpuText))]);
  return record(parts);
}

/** A condition on sizes and numbers as a function; it may need locals. */
function testText({ test }: Condition): string {
  const size = (axis: string): Code => describedNumber(axis, 'index');
  const nest = createNest({
    scalars: createScalars(),
    names: createNames(['n']),
    size,
    leaf: (expr) => {
      if (expr.op === 'size') return { code: 'real', type: 'real', x: size(expr.axis) };
      invariant(expr.op === 'parameter', `a condition on ${expr.op}`);
      return describedNumber(expr.name, 'real');
    },
  });
  const value = nest.value(test);
  const before: readonly Statement[] = nest.finish();
  const result = printCode(value, typescript);
  return before.length === 0
    ? `(n) => ${result}`
    : `(n) => {\n${printStatements(before, typescript, '    ')}\n    return ${result};\n  }`;
}
