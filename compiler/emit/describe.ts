/** The module that describes one op to the runtime, with types precise enough that a wrong call does not compile. */
import type { CompiledDirection, CompiledOp } from '../compile.ts';
import { invariant } from '../diagnostics.ts';
import type { Condition } from '../graph/formulas.ts';
import type { Code, Kernel, Statement } from '../kernel/kernel.ts';
import { createNames } from '../kernel/names.ts';
import { createNest } from '../kernel/nest.ts';
import { createScalars } from '../kernel/scalar.ts';
import type { Argument, Dimension, Return } from '../spec/spec.ts';
import { typesName } from '../spec/words.ts';
import { describedKernel, describedNumber, makeGpuKernel, moduleName } from './describe-kernel.ts';
import { createTables, type Declaration } from './describe-tables.ts';
import { functionName } from './functions.ts';
import { type EmitOptions, header } from './header.ts';
import { key, lines, list, quote, record, strings } from './literals.ts';
import type { EmittedOp, NamedKernel } from './op.ts';
import { typesOf } from './op-types.ts';
import { printCode, printStatements } from './printer.ts';
import { indented, printFile, type Structure } from './source.ts';
import { typescript } from './typescript.ts';

/** What descriptions call their tables, and a global that they use. */
const reserved = ['b', 'bindings', 'd', 'f', 'k', 'p', 't', 'u', 'cpu', 'gpu', 'wasm', 'URL'];

const kernelTypes = {
  typescript: { name: 'cpu', kind: 'cpu', type: 'CpuKernelDescription' },
  wasm: { name: 'wasm', kind: 'wasm', type: 'WasmKernelDescription' },
  wgsl: { name: 'gpu', kind: 'gpu', type: 'GpuKernelDescription' },
} as const;

export async function describeOp(emitted: Omit<EmittedOp, 'files'>, options: EmitOptions): Promise<string> {
  const { op, kernels } = emitted;
  const { entry } = op;
  const functions = kernels.filter(({ kernel }) => kernel.target === 'cpu');
  const modules = modulesOf(kernels);
  const tables = createTables();
  const texts = new Map(kernels.map((named) => [named, describedKernel(emitted, named, tables)]));
  const isAlone = runAlone(op, emitted, options);
  const alone = new Map(
    functions.filter(isAlone).map((named): [string, string] => [named.name, texts.get(named)!]),
  );
  const runs = new Map<string, string>();
  const variants = op.variants.map(({ key: variantKey, forward, layouts }) => {
    const requirements = forward.conditions.map(
      (condition) => `{ test: ${testText(condition)}, message: ${quote(condition.message)} }`,
    );
    const byOrder = layouts.map(({ order, directions }): [string, string] => [
      order.join(' '),
      layoutText(directions, emitted, options, alone, (text) => {
        const known = runs.get(text) ?? `d[${runs.size}]!`;
        runs.set(text, known);
        return known;
      }),
    ]);
    const parts: [string, string][] = [];
    if (requirements.length > 0) parts.push(['requirements', list(requirements)]);
    parts.push(['layouts', record(byOrder)]);
    return `${quote(variantKey)}: ${record(parts)}`;
  });
  const byTarget = (target: Kernel['target']): string =>
    lines(
      kernels
        .filter((named) => named.kernel.target === target && !isAlone(named))
        .map((named) => `${key(named.name)}: ${texts.get(named)}`),
    );
  const kernelTables = (['typescript', 'wasm', 'wgsl'] as const)
    .filter((target) => options.targets.includes(target))
    .flatMap((target): Declaration[] => {
      const { name: id, kind, type } = kernelTypes[target];
      const table = byTarget(kind);
      if (table === '') return [];
      return [{ text: `\nconst ${id} = {${table}} satisfies { [name: string]: ${type} };`, type }];
    });
  const directions: Declaration = {
    text: `\nconst d: readonly DirectionDescription[] = [${lines([...runs.keys()])}];`,
    type: 'DirectionDescription',
  };
  const makers = options.targets.includes('wgsl') ? [makeGpuKernel] : [];
  const constants = [...tables.declarations(), ...makers, ...kernelTables, directions];
  const imported = new Set(['OpDescription', 'OpTypes', ...constants.map((constant) => constant.type)]);
  const type = `OpDescription<${typesName(entry.name)}>`;
  // in a function that is marked as free of effects, so that a bundler leaves out an op that nobody imports
  const names = createNames([...reserved, ...imported, ...[...modules].map(moduleName)]);
  const id = names.fresh(entry.name);
  const describe = names.fresh('describe');
  const description = `function ${describe}(): ${type} {
${indented(`${constants.map(({ text }) => text).join('\n')}

return {
  name: ${quote(entry.name)},
  arguments: [${lines(entry.arguments.map(argumentText))}],
  returns: [${lines(entry.returns.map(returnText))}],
  axes: ${strings(entry.axes)},
  layouts: ${list(entry.layouts.map(strings))},
  together: ${list(entry.together.map(strings))},
  variants: {${lines(variants)}},
  unavailable: {${lines([...op.unavailable].map(([k, message]) => `${quote(k)}: ${quote(message)}`))}},
};`)}
}

/**
 * ${entry.signature.replaceAll('*/', '* /')}
 */
${id === entry.name ? 'export ' : ''}const ${id}: ${type} = /* @__PURE__ */ ${describe}();`;
  const exported = id === entry.name ? [] : [`\nexport { ${id} as ${entry.name} };`];
  return printFile(
    header(options),
    (inset) => [
      ...importsOf(op, kernels).map(
        (declaration): Structure => ({ kind: 'ImportDeclaration', ...declaration }),
      ),
      {
        kind: 'ImportDeclaration',
        moduleSpecifier: 'normgrad/runtime',
        isTypeOnly: true,
        namedImports: [...imported].sort(),
      },
      { kind: 'Interface', ...typesOf(entry) },
      ...[description, ...exported].map(inset),
    ],
    options.tools.print,
  );
}

/** The files of the WebAssembly modules. */
const modulesOf = (kernels: readonly NamedKernel[]): Set<string> =>
  new Set(kernels.filter(({ kernel }) => kernel.target === 'wasm').map(({ file }) => file));

/** The functions and modules that a description refers to. */
function importsOf(
  op: CompiledOp,
  kernels: readonly NamedKernel[],
): { moduleSpecifier: string; namedImports: string[] }[] {
  const functions = kernels.filter(({ kernel }) => kernel.target === 'cpu');
  return [
    ...[...new Set(functions.map((f) => f.file))].map((path) => ({
      moduleSpecifier: `./${path.split('/').at(-1)}`,
      namedImports: functions.filter((f) => f.file === path).map((f) => functionName(op, f)),
    })),
    ...[...modulesOf(kernels)].map((path) => ({
      moduleSpecifier: `./${path.split('/').at(-1)}`,
      namedImports: [`module as ${moduleName(path)}`],
    })),
  ];
}

const returnText = ({ name, dimensions, differentiable }: Return): string =>
  record([
    ['name', quote(name)],
    ['dimensions', dimensionsText(dimensions)],
    ...(differentiable ? [['differentiable', 'true'] as const] : []),
  ]);

/** Whether a CPU kernel is run by directions that run the same kernels on all targets, and so are described once. */
function runAlone(
  { variants }: CompiledOp,
  { nameOf }: Omit<EmittedOp, 'files'>,
  { targets }: EmitOptions,
): (named: NamedKernel) => boolean {
  const runs = new Map<string, Set<string>>();
  for (const { layouts } of variants)
    for (const { cpu, wasm, gpu } of layouts.flatMap(({ directions }) => directions)) {
      const others = [
        ...(targets.includes('wasm') ? [wasm] : []),
        ...(targets.includes('wgsl') ? gpu : []),
      ].map(nameOf);
      if (targets.includes('typescript'))
        runs.set(nameOf(cpu), (runs.get(nameOf(cpu)) ?? new Set()).add(others.join(' ')));
    }
  return ({ name, kernel }) => kernel.target === 'cpu' && runs.get(name)!.size === 1;
}

function layoutText(
  directions: readonly CompiledDirection[],
  { nameOf }: Omit<EmittedOp, 'files'>,
  { targets }: EmitOptions,
  /** Kernels to describe in place, by name. */
  alone: ReadonlyMap<string, string>,
  refer: (text: string) => string,
): string {
  const gpuText = (kernel: Kernel): string => {
    const own = `gpu.${nameOf(kernel)}`;
    return kernel.otherwise ? `{ ...${own}, otherwise: ${list(kernel.otherwise.map(gpuText))} }` : own;
  };
  const text = ({ cpu, wasm, gpu }: CompiledDirection): string => {
    const parts: [string, string][] = [];
    if (targets.includes('typescript'))
      parts.push(['cpu', list([alone.get(nameOf(cpu)) ?? `cpu.${nameOf(cpu)}`])]);
    if (targets.includes('wasm')) parts.push(['wasm', list([`wasm.${nameOf(wasm)}`])]);
    if (targets.includes('wgsl')) parts.push(['gpu', list(gpu.map(gpuText))]);
    return refer(record(parts));
  };
  const of = (direction: CompiledDirection['direction']): CompiledDirection[] =>
    directions.filter((d) => d.direction === direction);
  const bySubset = (members: readonly CompiledDirection[]): string =>
    record(members.map((d): [string, string] => [d.wrt.join(' '), text(d)]));
  const parts: [string, string][] = [
    ['forward', text(of('forward')[0]!)],
    ['backward', bySubset(of('backward'))],
  ];
  if (of('jvp')[0]) parts.push(['jvp', text(of('jvp')[0]!)]);
  if (of('double_backward').length > 0) parts.push(['double_backward', bySubset(of('double_backward'))]);
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

function dimensionsText(dimensions: readonly Dimension[]): string {
  return list(
    dimensions.map((d) => {
      if (d.kind === 'split') return record([['axes', strings(d.axes)]]);
      return record([['axes', strings([d.axis])], ...(d.kind === 'fold' ? [['fold', 'true'] as const] : [])]);
    }),
  );
}

function argumentText(a: Argument): string {
  const parts: [string, string][] = [
    ['kind', quote(a.kind)],
    ['name', quote(a.name)],
  ];
  if (a.kind === 'tensor') {
    parts.push(['dimensions', dimensionsText(a.dimensions)]);
    for (const flag of ['optional', 'state', 'differentiable'] as const)
      if (a[flag]) parts.push([flag, 'true']);
  } else if (a.default !== undefined) {
    parts.push(['default', String(a.default)]);
  }
  return record(parts);
}
