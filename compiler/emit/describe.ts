/** The module that describes one op to the runtime, with types precise enough that a wrong call does not compile. */
import type { CompiledDirection, CompiledOp } from '../compile.ts';
import type { Condition } from '../graph/formulas.ts';
import { mapCode } from '../kernel/collect.ts';
import {
  type Binding,
  type Code,
  type Kernel,
  name,
  type Statement,
  type Tiles,
  type Uniform,
} from '../kernel/kernel.ts';
import { createNames } from '../kernel/names.ts';
import { createNest } from '../kernel/nest.ts';
import { createScalars } from '../kernel/scalar.ts';
import type { Argument, Dimension, Entry, Return } from '../spec/spec.ts';
import { functionName } from './functions.ts';
import { type EmitOptions, header } from './header.ts';
import type { EmittedOp, NamedKernel } from './op.ts';
import { printCode, printStatements } from './printer.ts';
import { indented, printFile, type Structure } from './source.ts';
import { typescript } from './typescript.ts';
import type { ModulePhase } from './wasm-plan.ts';
import { subgroupsFile } from './wgsl-lanes.ts';

export const typesName = (entry: Entry): string =>
  `${entry.name.replace(/(?:^|_)([a-z0-9])/gi, (_, c: string) => c.toUpperCase())}Types`;

const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&').replace(/\n/g, '\\n')}'`;
const key = (text: string): string => (/^[A-Za-z_]\w*$/.test(text) ? text : quote(text));
const list = (items: readonly string[]): string => `[${items.join(', ')}]`;
const strings = (items: readonly string[]): string => list(items.map(quote));
const oneOf = (items: readonly string[]): string =>
  items.length === 0 ? 'never' : items.map(quote).join(' | ');
const record = (entries: readonly (readonly [string, string])[]): string =>
  entries.length === 0 ? '{}' : `{ ${entries.map(([k, v]) => `${key(k)}: ${v}`).join(', ')} }`;
const lines = (entries: readonly string[]): string =>
  entries.length === 0 ? '' : `\n${entries.map((e) => `  ${e},`).join('\n')}\n`;

/** What the caller calls a number of the code: an axis, an attribute, or by a `$` and a name what is chosen. */
export const numberName = (kernel: Kernel, id: string): string =>
  id === 'many' ? `$${id}` : (kernel.uniforms.find((u) => u.name === id)?.of ?? id);

/** A number of elements as a function of the call's numbers. */
function asFunction(code: Code, kernel: Kernel): string {
  const numbered = mapCode(code, (id, type) => name(`n.${numberName(kernel, id)}`, type));
  const value = printCode(numbered, typescript).replace(/n\.([A-Za-z_$][\w$]*)/g, 'n.$1!');
  return value.includes('n.') ? `(n) => ${value}` : `() => ${value}`;
}

/** What kernels have in common is said once, in tables: `f[3]!` is a number, and `b(0, 3)` are bindings. */
interface Tables {
  readonly bindings: (texts: readonly string[]) => string;
  readonly number: (text: string) => string;
  readonly phase: (text: string) => string;
  readonly tiles: (text: string) => string;
  readonly uniforms: (text: string) => string;
  readonly declarations: () => string[];
}

function createTables(): Tables {
  const types = {
    f: '(n: Numbers) => number',
    p: 'WasmPhaseDescription',
    t: 'TilesDescription',
    u: 'readonly UniformDescription[]',
  };
  const tables = { f: new Map<string, string>(), p: new Map(), t: new Map(), u: new Map() };
  const refer =
    (table: keyof typeof tables) =>
    (text: string): string => {
      const known = tables[table].get(text) ?? `${table}[${tables[table].size}]!`;
      tables[table].set(text, known);
      return known;
    };
  const declare = (table: keyof typeof tables): string =>
    `const ${table}: readonly (${types[table]})[] = [${lines([...tables[table].keys()])}];`;
  const bindings = new Map<string, number>();
  const place = (text: string): number => {
    const known = bindings.get(text) ?? bindings.size;
    bindings.set(text, known);
    return known;
  };
  const declareBindings =
    (): string => `const bindings: readonly BindingDescription[] = [${lines([...bindings.keys()])}];
const b = (...places: readonly number[]) => places.map((i) => bindings[i]!);`;
  return {
    bindings: (texts) => `b(${texts.map(place).join(', ')})`,
    number: refer('f'),
    phase: refer('p'),
    tiles: refer('t'),
    uniforms: refer('u'),
    // functions first, which the others refer to
    declarations: () =>
      (['f', 'b', 'p', 't', 'u'] as const).flatMap((table) => {
        if (table === 'b') return bindings.size > 0 ? [declareBindings()] : [];
        return tables[table].size > 0 ? [declare(table)] : [];
      }),
  };
}

const kernelTypes = {
  typescript: { name: 'cpu', kind: 'cpu', type: 'CpuKernelDescription' },
  wasm: { name: 'wasm', kind: 'wasm', type: 'WasmKernelDescription' },
  wgsl: { name: 'gpu', kind: 'gpu', type: 'GpuKernelDescription' },
} as const;

export async function describeOp(emitted: Omit<EmittedOp, 'files'>, options: EmitOptions): Promise<string> {
  const { op, kernels } = emitted;
  const { entry } = op;
  const functions = kernels.filter(({ kernel }) => kernel.target === 'cpu');
  const modules = new Set(kernels.filter(({ kernel }) => kernel.target === 'wasm').map(({ file }) => file));
  const imports = [
    ...[...new Set(functions.map((f) => f.file))].map((path) => ({
      moduleSpecifier: `./${path.split('/').at(-1)}`,
      namedImports: functions.filter((f) => f.file === path).map((f) => functionName(op, f)),
    })),
    ...[...modules].map((path) => ({
      moduleSpecifier: `./${path.split('/').at(-1)}`,
      namedImports: [`module as ${moduleName(path)}`],
    })),
  ];
  const tables = createTables();
  const texts = new Map(kernels.map((named) => [named, kernelText(emitted, named, tables)]));
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
        .map((named) => `${key(kernelKey(named))}: ${texts.get(named)}`),
    );
  const kernelTables = (['typescript', 'wasm', 'wgsl'] as const)
    .filter((target) => options.targets.includes(target))
    .map((target) => {
      const { name: id, kind, type } = kernelTypes[target];
      const table = byTarget(kind);
      return table === '' ? '' : `\nconst ${id} = {${table}} satisfies { [name: string]: ${type} };`;
    });
  const directions = `\nconst d: readonly DirectionDescription[] = [${lines([...runs.keys()])}];`;
  const makers = options.targets.includes('wgsl') ? [makeGpuKernel] : [];
  const constants = [...tables.declarations(), ...makers, ...kernelTables, directions];
  const type = `OpDescription<${typesName(entry)}>`;
  // in a function that is marked as free of effects, so that a bundler leaves out an op that nobody imports
  const names = createNames([
    'b',
    'bindings',
    'd',
    'f',
    'k',
    'p',
    't',
    'u',
    'cpu',
    'gpu',
    'wasm',
    ...[...modules].map(moduleName),
  ]);
  const id = names.fresh(entry.name);
  const describe = names.fresh('describe');
  const description = `function ${describe}(): ${type} {
${indented(`${constants.join('\n')}

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
      ...imports.map((declaration): Structure => ({ kind: 'ImportDeclaration', ...declaration })),
      {
        kind: 'ImportDeclaration',
        moduleSpecifier: 'normgrad/runtime',
        isTypeOnly: true,
        namedImports: typesUsed(options).filter((type) => type === 'OpTypes' || description.includes(type)),
      },
      { kind: 'Interface', ...typesOf(entry) },
      ...[description, ...exported].map(inset),
    ],
    options.tools.print,
  );
}

const typesUsed = ({ targets }: EmitOptions): string[] => [
  'BindingDescription',
  ...(targets.includes('typescript') ? ['CpuKernelDescription'] : []),
  'DirectionDescription',
  ...(targets.includes('wgsl') ? ['GpuKernelDescription'] : []),
  'Numbers',
  'OpDescription',
  'OpTypes',
  ...(targets.includes('wgsl') ? ['TilesDescription'] : []),
  'UniformDescription',
  ...(targets.includes('wasm') ? ['WasmKernelDescription', 'WasmPhaseDescription'] : []),
];

const returnText = ({ name, dimensions, differentiable }: Return): string =>
  record([
    ['name', quote(name)],
    ['dimensions', dimensionsText(dimensions)],
    ...(differentiable ? [['differentiable', 'true'] as const] : []),
  ]);

const kernelKey = ({ name }: NamedKernel): string => name;

/** The name of a file's module where the op is described. */
const moduleName = (path: string): string => `${path.split('/').at(-1)!.split('.')[0]}_module`;

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
const makeGpuKernel = `const subgroups = new URL('../${subgroupsFile}', import.meta.url);
/** A kernel of these bindings, uniforms and tiles by number. */
const k = (
  name: string,
  source: URL,
  bindings: readonly number[],
  uniforms: number,
  tiles: number,
): GpuKernelDescription => ({ name, source, subgroups, bindings: b(...bindings), uniforms: u[uniforms]!, tiles: t[tiles]! });`;

/** The numbers in a reference to a table. */
const numbersIn = (reference: string): string[] => reference.match(/\d+/g) ?? [];

function kernelText({ op, planOf }: Omit<EmittedOp, 'files'>, named: NamedKernel, tables: Tables): string {
  const { kernel } = named;
  const bindings = tables.bindings(kernel.bindings.map((binding) => bindingText(binding, kernel, tables)));
  const uniforms = tables.uniforms(list(kernel.uniforms.map(uniformText)));
  if (kernel.target === 'gpu') {
    const tiles = tables.tiles(tilesText(kernel.tiles!, kernel, tables));
    const numbers = [uniforms, tiles].flatMap(numbersIn);
    const parts = [quote(named.name), urlOf(named.file), list(numbersIn(bindings)), ...numbers];
    return `k(${parts.join(', ')})`;
  }
  const parts: [string, string][] = [['name', quote(named.name)]];
  if (kernel.target === 'cpu') parts.push(['run', functionName(op, named)]);
  else parts.push(['module', moduleName(named.file)]);
  parts.push(['bindings', bindings]);
  parts.push(['uniforms', uniforms]);
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

function phaseText({ phase, routines, together }: ModulePhase, kernel: Kernel, tables: Tables): string {
  const { kept, units, elements, blocks } = phase;
  const described = phase.routines.map(({ over }, i) =>
    record([
      ['name', quote(routines[i]!)],
      ['over', quote(over)],
    ]),
  );
  return record([
    ['kept', tables.number(asFunction(kept, kernel))],
    ['units', tables.number(asFunction(units, kernel))],
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
  const size = (axis: string): Code => name(`n.${axis}!`, 'index');
  const nest = createNest({
    scalars: createScalars(),
    names: createNames(['n']),
    size,
    leaf: (expr) => {
      if (expr.op === 'size') return { code: 'real', type: 'real', x: size(expr.axis) };
      return name(`n.${expr.op === 'parameter' ? expr.name : ''}!`, 'real');
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

function typesOf(entry: Entry): {
  name: string;
  isExported: boolean;
  extends: string[];
  properties: { name: string; type: string; isReadonly: boolean }[];
  docs: string[];
} {
  const tensors = entry.arguments.filter((a) => a.kind === 'tensor');
  const attributes = entry.arguments.filter((a) => a.kind !== 'tensor');
  const isInferable = (a: Argument): boolean => a.kind === 'int' && entry.axes.includes(a.name);
  const property = (name: string, type: string): { name: string; type: string; isReadonly: boolean } => ({
    name,
    type,
    isReadonly: true,
  });
  return {
    name: typesName(entry),
    isExported: true,
    docs: [`What a call of ${entry.name} takes and gives.`],
    extends: ['OpTypes'],
    properties: [
      property('tensors', record(tensors.map((t) => [t.name, t.optional ? "'optional'" : "'required'"]))),
      property(
        'attributes',
        attributes.length === 0
          ? '{}'
          : `{ ${attributes
              .map((a) => {
                const optional = ('default' in a && a.default !== undefined) || isInferable(a);
                return `${key(a.name)}${optional ? '?' : ''}: ${a.kind === 'bool' ? 'boolean' : 'number'}`;
              })
              .join('; ')} }`,
      ),
      property('returns', oneOf(entry.returns.map((r) => r.name))),
      property(
        'differentiableReturns',
        oneOf(entry.returns.filter((r) => r.differentiable).map((r) => r.name)),
      ),
      property('differentiable', oneOf(tensors.filter((t) => t.differentiable).map((t) => t.name))),
      property('layouts', oneOf(entry.layouts.map((order) => order.join(' ')))),
    ],
  };
}
