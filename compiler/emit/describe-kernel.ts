/** Kernels as the runtime is told of them. */
import { mapCode } from '../kernel/collect.ts';
import {
  type Binding,
  type Code,
  type CodeType,
  type Kernel,
  name,
  type Tiles,
  type Uniform,
} from '../kernel/kernel.ts';
import type { Declaration, Tables } from './describe-tables.ts';
import { functionName } from './functions.ts';
import { list, quote, record, strings } from './literals.ts';
import type { EmittedOp, NamedKernel } from './op.ts';
import { printCode } from './printer.ts';
import { typescript } from './typescript.ts';
import type { ModulePhase } from './wasm-plan.ts';
import { subgroupsFile } from './wgsl-lanes.ts';

/** What the caller calls a number of the code: an axis, an attribute, or by a `$` and a name what is chosen. */
export const numberName = (kernel: Kernel, id: string): string =>
  id === 'many' ? `$${id}` : (kernel.uniforms.find((u) => u.name === id)?.of ?? id);

/** A number of the call, in a function of all of them; in brackets, as some compiler options ask of names that vary. */
export const describedNumber = (id: string, type: CodeType): Code => name(`n[${quote(id)}]!`, type);

/** A number of elements as a function of the call's numbers. */
function asFunction(code: Code, kernel: Kernel): string {
  let isConstant = true;
  const numbered = mapCode(code, (id, type) => {
    isConstant = false;
    return describedNumber(numberName(kernel, id), type);
  });
  return `${isConstant ? '()' : '(n)'} => ${printCode(numbered, typescript)}`;
}

/** The name of a file's module where the op is described. */
export const moduleName = (path: string): string => `${path.split('/').at(-1)!.split('.')[0]}_module`;

function bindingText(
  { name, role, of, axes, access, optional, length, dtype }: Binding,
  kernel: Kernel,
  tables: Tables,
): string {
  const parts: [string, string][] = [
    ['name', quote(name)],
    ['role', quote(role)],
    ['of', quote(of)],
    ['axes', strings(axes)],
    ['access', quote(access)],
  ];
  if (optional) parts.push(['optional', 'true']);
  if (length) parts.push(['length', tables.number(asFunction(length, kernel))]);
  if (dtype) parts.push(['dtype', quote(dtype)]);
  return record(parts);
}

/** Said once, since there are many GPU kernels. */
export const makeGpuKernel: Declaration = {
  type: 'GpuKernelDescription',
  text: `const subgroups = new URL('../${subgroupsFile}', import.meta.url);
/** A kernel of these bindings, uniforms and tiles by number. */
const k = (
  name: string,
  source: URL,
  bindings: readonly number[],
  uniforms: number,
  tiles: number,
): GpuKernelDescription => ({ name, source, subgroups, bindings: b(...bindings), uniforms: u[uniforms]!, tiles: t[tiles]! });`,
};

export function describedKernel(
  { op, planOf }: Omit<EmittedOp, 'files'>,
  named: NamedKernel,
  tables: Tables,
): string {
  const { kernel } = named;
  const bindings = tables.bindings(kernel.bindings.map((binding) => bindingText(binding, kernel, tables)));
  const uniforms = tables.uniforms(list(kernel.uniforms.map(uniformText)));
  if (kernel.target === 'gpu') {
    const tiles = tables.tiles(tilesText(kernel.tiles!, kernel, tables));
    const places = list(bindings.places.map(String));
    const parts = [quote(named.name), urlOf(named.file), places, ...uniforms.places, ...tiles.places];
    return `k(${parts.join(', ')})`;
  }
  const parts: [string, string][] = [['name', quote(named.name)]];
  if (kernel.target === 'cpu') parts.push(['run', functionName(op, named)]);
  else parts.push(['module', moduleName(named.file)]);
  parts.push(['bindings', bindings.text]);
  parts.push(['uniforms', uniforms.text]);
  if (kernel.target === 'wasm') {
    const plan = planOf(named);
    parts.push(['slots', list(plan.argumentsOf(kernel).map(({ slot }) => String(slot)))]);
    const phases = plan.phasesOf(kernel).map((phase) => tables.phase(phaseText(phase, kernel, tables)));
    parts.push(['phases', list(phases)]);
  }
  return record(parts);
}

const urlOf = (file: string): string => `new URL(${quote(`./${file.split('/').at(-1)}`)}, import.meta.url)`;

const uniformText = ({ of, type }: Uniform): string =>
  record([
    ['name', quote(of)],
    ['type', quote(type)],
  ]);

function phaseText({ phase, names, together }: ModulePhase, kernel: Kernel, tables: Tables): string {
  const { kept, units, strips, elements, blocks } = phase;
  const described = phase.routines.map(({ over }, i) =>
    record([
      ['name', quote(names[i]!)],
      ['over', quote(over)],
    ]),
  );
  return record([
    ['kept', tables.number(asFunction(kept, kernel))],
    ['units', tables.number(asFunction(units, kernel))],
    ['strips', tables.number(asFunction(strips, kernel))],
    ['elements', tables.number(asFunction(elements, kernel))],
    ['blocks', quote(blocks.of)],
    ['routines', list(described)],
    ['together', quote(together)],
  ]);
}

function tilesText(tiles: Tiles, kernel: Kernel, tables: Tables): string {
  const { kept, over } = tiles;
  const described = Object.entries(describeTiles(tiles, kernel)).map(
    ([key, value]) => [key, typeof value === 'string' ? quote(value) : String(value)] as const,
  );
  return record([
    ['kept', tables.number(asFunction(kept, kernel))],
    ['over', tables.number(asFunction(over, kernel))],
    ...described,
  ]);
}

/** What is not a formula. */
export const describeTiles = ({ isAcross, splits, maps }: Tiles, { shared, vector }: Kernel) => ({
  ...(vector !== undefined && { vector }),
  ...(isAcross && { isAcross }),
  ...(shared.length > 0 && {
    shared: shared.reduce((sum, { reals }) => sum + reals, 0),
  }),
  ...(splits && { splits }),
  ...(maps && { maps }),
});
