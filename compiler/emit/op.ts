/** Emits one op: its kernels, each once however many variants run it, and the module that describes it. */
import type { CompiledDirection, CompiledOp } from '../compile.ts';
import type { Kernel, Uniform } from '../kernel/kernel.ts';
import type { Direction } from '../spec/spec.ts';
import { describeOp } from './describe.ts';
import { emitFunctions } from './functions.ts';
import { type EmitOptions, header } from './header.ts';
import { emitOpManifests } from './package.ts';
import { printStatements } from './printer.ts';
import { kernelText } from './typescript.ts';
import { emitWasm } from './wasm.ts';
import { type ModulePlan, planModule } from './wasm-plan.ts';
import { wasmText } from './wasm-text.ts';
import { printModule, printWgsl, reductionText } from './wgsl.ts';

/** A kernel with its name and where it is emitted. */
export interface NamedKernel {
  readonly name: string;
  readonly kernel: Kernel;
  readonly direction: Direction;
  /** The variants that run it, as the manifest calls them. */
  readonly users: readonly string[];
  /** What it computes: variants whose constants differ can share a kernel, and then there are several. */
  readonly formulas: readonly string[];
  /** Relative to the output folder. */
  readonly file: string;
}

export interface EmittedOp {
  readonly op: CompiledOp;
  /** In the order of first use. */
  readonly kernels: readonly NamedKernel[];
  readonly nameOf: (kernel: Kernel) => string;
  /** The module that a WebAssembly kernel is part of. */
  readonly planOf: (named: NamedKernel) => ModulePlan;
  readonly files: ReadonlyMap<string, string>;
}

/** How a direction is spoken of: `backward for x weight`. */
export const titleOf = ({ direction, wrt }: Pick<CompiledDirection, 'direction' | 'wrt'>): string =>
  wrt.length > 0 ? `${direction} for ${wrt.join(', ')}` : direction;

export async function emitOp(op: CompiledOp, options: EmitOptions): Promise<EmittedOp> {
  const folder = op.entry.name;
  const byContent = new Map<
    string,
    {
      name: string;
      kernel: Kernel;
      direction: Direction;
      users: Set<string>;
      formulas: Set<string>;
      file: string;
    }
  >();
  const names = new Map<Kernel, string>();
  const counts = new Map<string, number>();
  const contents = new Map<Kernel, string>();
  const register = (kernel: Kernel, direction: Direction, user: string): void => {
    const content = contents.get(kernel) ?? contentOf(kernel);
    contents.set(kernel, content);
    let known = byContent.get(content);
    if (!known) {
      const counter = `${kernel.target} ${direction}`;
      const k = (counts.get(counter) ?? 0) + 1;
      counts.set(counter, k);
      const name = `${direction}_${k}`;
      const file = `${folder}/${fileFor(kernel.target, direction, k)}`;
      known = { name, kernel, direction, users: new Set(), formulas: new Set(), file };
      byContent.set(content, known);
    }
    known.users.add(user);
    for (const formula of kernel.formulas) known.formulas.add(formula);
    names.set(kernel, known.name);
  };
  for (const { key, layouts } of op.variants) {
    for (const { order, directions } of layouts) {
      for (const direction of directions) {
        const layout = layouts.length > 1 ? ` [${order.join(', ')}]` : '';
        const user = `${key || 'no options'}${layout}: ${titleOf(direction)}`;
        if (options.targets.includes('typescript')) register(direction.cpu, direction.direction, user);
        if (options.targets.includes('wasm')) register(direction.wasm, direction.direction, user);
        if (options.targets.includes('wgsl'))
          for (const kernel of direction.gpu)
            for (const one of [kernel, ...(kernel.otherwise ?? [])]) register(one, direction.direction, user);
      }
    }
  }
  const kernels = shareModules(
    [...byContent.values()].map(
      (k): NamedKernel => ({ ...k, users: [...k.users], formulas: [...k.formulas] }),
    ),
  );
  const plans = new Map(
    [...membersByFile(kernels, 'wasm')].map(([file, members]) => [
      file,
      planModule(members.map(({ kernel }) => kernel)),
    ]),
  );
  const emitted: Omit<EmittedOp, 'files'> = {
    op,
    kernels,
    nameOf: (kernel) => names.get(kernel)!,
    planOf: ({ file }) => plans.get(file)!,
  };
  // What tools do is begun first and awaited last: they may be on another thread.
  const texts: (readonly [file: string, text: string | Promise<string>])[] = [];
  for (const [file, members] of membersByFile(kernels, 'wasm'))
    texts.push([file, emitWasm(op, members, plans.get(file)!, options)]);
  for (const [file, members] of membersByFile(kernels, 'cpu'))
    texts.push([file, emitFunctions(op, members, options)]);
  texts.push([`${folder}/index.ts`, describeOp(emitted, options)]);
  for (const [file, members] of membersByFile(kernels, 'gpu'))
    texts.push([file, moduleText(op, members, options)]);
  for (const [name, content] of emitOpManifests(emitted, options)) texts.push([`${folder}/${name}`, content]);
  const files = await Promise.all(texts.map(async ([file, text]) => [file, await text] as const));
  return { ...emitted, files: new Map(files) };
}

/** GPU kernels that have a function that reduces in common share a file, and with it their uniforms. */
function shareModules(kernels: readonly NamedKernel[]): NamedKernel[] {
  const groups = new Map<string, NamedKernel[]>();
  for (const named of kernels) {
    const text = reductionText(named.kernel);
    const key = text === '' ? named.name : text;
    if (named.kernel.target === 'gpu') groups.set(key, [...(groups.get(key) ?? []), named]);
  }
  const shared = new Map<NamedKernel, NamedKernel>();
  for (const members of groups.values()) {
    const uniforms = new Map(
      members.flatMap(({ kernel }) => kernel.uniforms.map((u) => [u.name, u] as const)),
    );
    const isSame = (u: Uniform): boolean =>
      u.of === uniforms.get(u.name)!.of && u.type === uniforms.get(u.name)!.type;
    if (members.length === 1 || !members.every(({ kernel }) => kernel.uniforms.every(isSame))) continue;
    const { file } = members[0]!;
    for (const named of members)
      shared.set(named, { ...named, file, kernel: { ...named.kernel, uniforms: [...uniforms.values()] } });
  }
  return kernels.map((named) => shared.get(named) ?? named);
}

function moduleText(op: CompiledOp, members: readonly NamedKernel[], options: EmitOptions): string {
  const [first, ...others] = members as [NamedKernel, ...NamedKernel[]];
  const top = [header(options), ''];
  if (others.length === 0) return printWgsl(first.kernel, first.name, [...top, ...formulasIn(op, first)]);
  const entryPoints = members.map((named) => ({
    kernel: named.kernel,
    name: named.name,
    comment: formulasIn(op, named),
  }));
  return printModule(entryPoints, [...top, ...reductionsIn(op, first.kernel)]);
}

function membersByFile(
  kernels: readonly NamedKernel[],
  target: Kernel['target'],
): Map<string, NamedKernel[]> {
  const files = new Map<string, NamedKernel[]>();
  for (const named of kernels) {
    if (named.kernel.target === target) files.set(named.file, [...(files.get(named.file) ?? []), named]);
  }
  return files;
}

/** Functions of one direction share a file, up to so many. */
const functionsPerFile = { cpu: 48, wasm: 48 };
function fileFor(target: Kernel['target'], direction: Direction, k: number): string {
  if (target === 'gpu') return `${direction}_${k}.wgsl`;
  const part = Math.ceil(k / functionsPerFile[target]);
  const base = part === 1 ? direction : `${direction}_${part}`;
  return target === 'wasm' ? `${base}.wasm.ts` : `${base}.ts`;
}

/** Two kernels with equal contents do the same. */
function contentOf(kernel: Kernel): string {
  const { target, bindings, uniforms, tiles, reductions, phases } = kernel;
  const cuts = phases.map(({ kept, units, routines }) => [
    kept,
    units,
    routines.map(({ body }) => body.length),
  ]);
  return JSON.stringify([target, bindings, uniforms, tiles, reductions, cuts, bodies[target](kernel)]);
}

const bodies: { readonly [T in Kernel['target']]: (kernel: Kernel) => string } = {
  cpu: kernelText,
  wasm: ({ body }) => printStatements(body, wasmText, ''),
  gpu: (kernel) => printWgsl(kernel, 'main', []),
};

/** What a kernel computes and who runs it, for the comment above it. */
export function commentOf(op: CompiledOp, { formulas, users, direction }: NamedKernel): string[] {
  const more = users.length > 1 ? `, and ${users.length - 1} more` : '';
  return [...formulasIn(op, { formulas, direction }), `Used by ${users[0]}${more}`];
}

const formulasIn = (
  op: CompiledOp,
  { direction, formulas }: Pick<NamedKernel, 'direction' | 'formulas'>,
): string[] => [`${op.entry.name}, ${direction}:`, ...formulas.map((formula) => `  ${formula}`)];

const reductionsIn = (op: CompiledOp, { reductions }: Kernel): string[] => [
  `${op.entry.name}, kernels that go on from`,
  ...reductions.map(({ op: what, of, over }) => `  ${what} of ${of} over ${over.join(', ')}`),
];
