/** The module that describes one op to the runtime, with types precise enough that a wrong call does not compile. */
import type { ImportDeclarationStructure } from 'ts-morph';
import type { CompiledDirection, CompiledOp } from '../compile.ts';
import type { Condition } from '../graph/formulas.ts';
import { mapCode } from '../kernel/collect.ts';
import { type Binding, type Code, type Kernel, name, type Statement } from '../kernel/kernel.ts';
import { createNames } from '../kernel/names.ts';
import { createNest } from '../kernel/nest.ts';
import { createScalars } from '../kernel/scalar.ts';
import type { Argument, Dimension, Entry, Return } from '../spec/spec.ts';
import { functionName } from './functions.ts';
import { type EmitOptions, header } from './header.ts';
import type { EmittedOp, NamedKernel } from './op.ts';
import { printCode, printStatements } from './printer.ts';
import { printFile } from './source.ts';
import { typescript } from './typescript.ts';

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

/** What the caller calls a number of the code: an axis, an attribute, or `$lanes`, which is a constant of the code. */
export const numberName = (kernel: Kernel, id: string): string =>
  id === 'lanes' ? '$lanes' : (kernel.uniforms.find((u) => u.name === id)?.of ?? id);

/** A number of elements or workgroups as a function of the call's numbers. */
const asFunction = (code: Code, kernel: Kernel): string =>
  `(n) => ${printCode(
    mapCode(code, (id, type) => name(`n.${numberName(kernel, id)}`, type)),
    typescript,
  ).replace(/n\.([$A-Za-z_]\w*)/g, 'n.$1!')}`;

export async function describeOp(emitted: Omit<EmittedOp, 'files'>, options: EmitOptions): Promise<string> {
  const { op, kernels } = emitted;
  const { entry } = op;
  const functions = kernels.filter(({ kernel }) => kernel.target === 'cpu');
  const imports = [...new Set(functions.map((f) => f.file))].map((path) => ({
    moduleSpecifier: `./${path.split('/').at(-1)}`,
    namedImports: functions.filter((f) => f.file === path).map((f) => functionName(op, f)),
  }));
  const bindings = new Map<string, string>();
  const bindingOf = (binding: Binding, kernel: Kernel): string => {
    const text = bindingText(binding, kernel);
    const known = bindings.get(text) ?? `b[${bindings.size}]!`;
    bindings.set(text, known);
    return known;
  };
  const described = kernels.map((named) => `${key(kernelKey(named))}: ${kernelText(op, named, bindingOf)}`);
  const variants = op.variants.map(({ key: variantKey, forward, layouts }) => {
    const requirements = forward.conditions.map(
      (condition) => `{ test: ${testText(condition)}, message: ${quote(condition.message)} }`,
    );
    const byOrder = layouts.map(({ order, directions }): [string, string] => [
      order.join(' '),
      layoutText(directions, emitted, options),
    ]);
    const parts: [string, string][] = [];
    if (requirements.length > 0) parts.push(['requirements', list(requirements)]);
    parts.push(['layouts', record(byOrder)]);
    return `${quote(variantKey)}: ${record(parts)}`;
  });
  const byTarget = (target: Kernel['target']): string =>
    lines(described.filter((_, i) => kernels[i]!.kernel.target === target));
  const tables = [`const b: readonly BindingDescription[] = [${lines([...bindings.keys()])}];`];
  if (options.targets.includes('typescript')) {
    tables.push(`\nconst cpu = {${byTarget('cpu')}} satisfies { [name: string]: CpuKernelDescription };`);
  }
  if (options.targets.includes('wgsl')) {
    tables.push(`\nconst gpu = {${byTarget('gpu')}} satisfies { [name: string]: GpuKernelDescription };`);
  }
  const id = createNames(['b', 'cpu', 'gpu']).fresh(entry.name);
  const description = `
/**
 * ${entry.signature.replaceAll('*/', '* /')}
 */
${id === entry.name ? 'export ' : ''}const ${id}: OpDescription<${typesName(entry)}> = {
  name: ${quote(entry.name)},
  arguments: [${lines(entry.arguments.map(argumentText))}],
  returns: [${lines(entry.returns.map(returnText))}],
  axes: ${strings(entry.axes)},
  layouts: ${list(entry.layouts.map(strings))},
  together: ${list(entry.together.map(strings))},
  variants: {${lines(variants)}},
  unavailable: {${lines([...op.unavailable].map(([k, message]) => `${quote(k)}: ${quote(message)}`))}},
};`;
  const exported = id === entry.name ? [] : [`\nexport { ${id} as ${entry.name} };`];
  return printFile(header(options), (kinds) => [
    ...imports.map(
      (declaration): ImportDeclarationStructure => ({ kind: kinds.ImportDeclaration, ...declaration }),
    ),
    {
      kind: kinds.ImportDeclaration,
      moduleSpecifier: 'normgrad/runtime',
      isTypeOnly: true,
      namedImports: typesUsed(options),
    },
    { kind: kinds.Interface, ...typesOf(entry) },
    ...tables,
    description,
    ...exported,
  ]);
}

const typesUsed = ({ targets }: EmitOptions): string[] => [
  'BindingDescription',
  ...(targets.includes('typescript') ? ['CpuKernelDescription'] : []),
  ...(targets.includes('wgsl') ? ['GpuKernelDescription'] : []),
  'OpDescription',
  'OpTypes',
];

const returnText = ({ name, dimensions, differentiable }: Return): string =>
  record([
    ['name', quote(name)],
    ['dimensions', dimensionsText(dimensions)],
    ...(differentiable ? [['differentiable', 'true'] as const] : []),
  ]);

const kernelKey = ({ name }: NamedKernel): string => name;

function bindingText({ name, role, of, axes, access, length }: Binding, kernel: Kernel): string {
  const parts: [string, string][] = [
    ['name', quote(name)],
    ['role', quote(role)],
    ['of', quote(of)],
    ['axes', strings(axes)],
    ['access', quote(access)],
  ];
  if (length) parts.push(['length', asFunction(length, kernel)]);
  return record(parts);
}

function kernelText(
  op: CompiledOp,
  named: NamedKernel,
  bindingOf: (binding: Binding, kernel: Kernel) => string,
): string {
  const { kernel } = named;
  const parts: [string, string][] = [['name', quote(named.name)]];
  if (kernel.target === 'cpu') parts.push(['run', functionName(op, named)]);
  else {
    parts.push(['source', `new URL(${quote(`./${named.file.split('/').at(-1)}`)}, import.meta.url)`]);
    parts.push(['entryPoint', quote(named.name)]);
  }
  parts.push(['bindings', list(kernel.bindings.map((binding) => bindingOf(binding, kernel)))]);
  parts.push([
    'uniforms',
    list(
      kernel.uniforms.map(({ of, type }) =>
        record([
          ['name', quote(of)],
          ['type', quote(type)],
        ]),
      ),
    ),
  ]);
  if (kernel.target === 'gpu') {
    parts.push(['workgroups', asFunction(kernel.workgroups, kernel)], ['lanes', 'true']);
    if (kernel.shared.length > 0) parts.push(['waits', 'true']);
    if (kernel.tiles) parts.push(['tiles', tilesText(kernel.tiles, kernel)]);
  }
  return record(parts);
}

const tilesText = ({ kept, over, isAcross }: NonNullable<Kernel['tiles']>, kernel: Kernel): string =>
  record([
    ['kept', asFunction(kept, kernel)],
    ['over', asFunction(over, kernel)],
    ...(isAcross ? [['isAcross', 'true'] as const] : []),
  ]);

function layoutText(
  directions: readonly CompiledDirection[],
  { nameOf }: Omit<EmittedOp, 'files'>,
  { targets }: EmitOptions,
): string {
  const text = ({ cpu, gpu }: CompiledDirection): string => {
    const parts: [string, string][] = [];
    if (targets.includes('typescript')) parts.push(['cpu', list([`cpu.${nameOf(cpu)}`])]);
    if (targets.includes('wgsl')) parts.push(['gpu', list(gpu.map((kernel) => `gpu.${nameOf(kernel)}`))]);
    return record(parts);
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
