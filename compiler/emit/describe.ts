/** The module that describes one op to the runtime, with types precise enough that a wrong call does not compile. */
import type { CompiledOp } from '../compile.ts';
import { createNames, type Names } from '../kernel/names.ts';
import { typesName } from '../spec/words.ts';
import { describedKernel, makeGpuKernel, moduleName } from './describe-kernel.ts';
import { argumentText, returnText } from './describe-signature.ts';
import { createTable, createTables, type Declaration } from './describe-tables.ts';
import { directionText, variantText } from './describe-variants.ts';
import { functionName } from './functions.ts';
import { type EmitOptions, header } from './header.ts';
import { key, lines, list, quote, strings } from './literals.ts';
import type { EmittedOp, NamedKernel } from './op.ts';
import { typesOf } from './op-types.ts';
import { indented, printFile, type Structure } from './source.ts';

/** What descriptions call their tables, and a global that they use. */
const reserved = ['b', 'bindings', 'd', 'f', 'k', 'p', 't', 'u', 'cpu', 'gpu', 'wasm', 'URL'];

type Emitted = Omit<EmittedOp, 'files'>;

/** The text of `index.ts`, which imports the op's functions and WebAssembly modules from beside it. */
export async function describeOp(emitted: Emitted, options: EmitOptions): Promise<string> {
  const { op, kernels } = emitted;
  const body = bodyOf(emitted, options);
  const imported = new Set(['OpDescription', 'OpTypes', ...body.constants.map(({ type }) => type)]);
  const names = createNames([...reserved, ...imported, ...[...modulesOf(kernels)].map(moduleName)]);
  const texts = declarationsOf(op, body, names);
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
      { kind: 'Interface', ...typesOf(op.entry) },
      ...texts.map(inset),
    ],
    options.tools.print,
  );
}

/** The variants of a description, and the constants that they refer to. */
interface Body {
  readonly variants: readonly string[];
  readonly constants: readonly Declaration[];
}

function bodyOf(emitted: Emitted, options: EmitOptions): Body {
  const { op, kernels } = emitted;
  const tables = createTables();
  const texts = new Map(kernels.map((named) => [named, describedKernel(emitted, named, tables)]));
  const isAlone = runAlone(op, emitted, options);
  const alone = new Map(kernels.filter(isAlone).map((named) => [named.name, texts.get(named)!]));
  const directions = createTable('d', 'DirectionDescription');
  const variants = op.variants.map((variant) =>
    variantText(
      variant,
      (direction) => directions.refer(directionText(direction, emitted, options, alone)).text,
    ),
  );
  const shared = new Map([...texts].filter(([named]) => !isAlone(named)));
  const makers = options.targets.includes('wgsl') ? [makeGpuKernel] : [];
  const last = directions.declarations().map(({ text, type }) => ({ text: `\n${text}`, type }));
  return {
    variants,
    constants: [...tables.declarations(), ...makers, ...kernelTables(shared, options), ...last],
  };
}

const kernelTypes = {
  typescript: { name: 'cpu', type: 'CpuKernelDescription' },
  wasm: { name: 'wasm', type: 'WasmKernelDescription' },
  wgsl: { name: 'gpu', type: 'GpuKernelDescription' },
} as const;

/** Kernels by their names, a table for each target that has some. */
function kernelTables(texts: ReadonlyMap<NamedKernel, string>, { targets }: EmitOptions): Declaration[] {
  return (['typescript', 'wasm', 'wgsl'] as const)
    .filter((target) => targets.includes(target))
    .flatMap((target) => {
      const { name, type } = kernelTypes[target];
      const own = [...texts].filter(([{ kernel }]) => kernel.target === name);
      if (own.length === 0) return [];
      const table = lines(own.map(([named, text]) => `${key(named.name)}: ${text}`));
      return [{ text: `\nconst ${name} = {${table}} satisfies { [name: string]: ${type} };`, type }];
    });
}

/**
 * The description, made in a function that is marked as free of effects, so that a bundler leaves out an op that nobody
 * imports; and its export, where it cannot have the op's name itself.
 */
function declarationsOf(
  { entry, unavailable }: CompiledOp,
  { variants, constants }: Body,
  names: Names,
): string[] {
  const items = (texts: readonly string[]): string => indented(lines(texts)).replace(/\n$/, '\n  ');
  const type = `OpDescription<${typesName(entry.name)}>`;
  const id = names.fresh(entry.name);
  const describe = names.fresh('describe');
  const description = `function ${describe}(): ${type} {
${indented(`${constants.map(({ text }) => text).join('\n')}

return {
  name: ${quote(entry.name)},
  arguments: [${items(entry.arguments.map(argumentText))}],
  returns: [${items(entry.returns.map(returnText))}],
  axes: ${strings(entry.axes)},
  layouts: ${list(entry.layouts.map(strings))},
  together: ${list(entry.together.map(strings))},
  variants: {${items(variants)}},
  unavailable: {${items([...unavailable].map(([k, message]) => `${quote(k)}: ${quote(message)}`))}},
};`)}
}

/**
 * ${entry.signature.replaceAll('*/', '* /')}
 */
${id === entry.name ? 'export ' : ''}const ${id}: ${type} = /* @__PURE__ */ ${describe}();`;
  return id === entry.name ? [description] : [description, `\nexport { ${id} as ${entry.name} };`];
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

/** Whether a CPU kernel is run by directions that run the same kernels on all targets, and so are described once. */
function runAlone(
  { variants }: CompiledOp,
  { nameOf }: Emitted,
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
