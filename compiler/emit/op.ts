/** Emits one op: its kernels, each once however many variants run it, and the module that describes it. */
import type { CompiledDirection, CompiledOp } from '../compile.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { identifier } from '../kernel/names.ts';
import type { Direction } from '../spec/spec.ts';
import { describeOp } from './describe.ts';
import { emitFunctions } from './functions.ts';
import { type EmitOptions, header } from './header.ts';
import { emitOpManifest } from './package.ts';
import { printBody } from './typescript.ts';
import { printWgsl } from './wgsl.ts';

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
      const file =
        kernel.target === 'gpu' ? `${folder}/${name}.wgsl` : `${folder}/${fileFor(direction, k)}.ts`;
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
        if (options.targets.includes('wgsl'))
          for (const kernel of direction.gpu) register(kernel, direction.direction, user);
      }
    }
  }
  const kernels = [...byContent.values()].map(
    (k): NamedKernel => ({ ...k, users: [...k.users], formulas: [...k.formulas] }),
  );
  const emitted: Omit<EmittedOp, 'files'> = { op, kernels, nameOf: (kernel) => names.get(kernel)! };
  const files = new Map<string, string>();
  for (const named of kernels) {
    if (named.kernel.target !== 'gpu') continue;
    files.set(
      named.file,
      printWgsl(named.kernel, identifier(named.name), [header(options), '', ...commentOf(op, named)]),
    );
  }
  const functions = kernels.filter(({ kernel }) => kernel.target === 'cpu');
  for (const file of new Set(functions.map((named) => named.file))) {
    const members = functions.filter((named) => named.file === file);
    files.set(file, await emitFunctions(op, members, options));
  }
  files.set(`${folder}/index.ts`, await describeOp(emitted, options));
  files.set(`${folder}/manifest.json`, emitOpManifest(emitted, options));
  return { ...emitted, files };
}

/** Functions of one direction share a file, up to so many. */
const functionsPerFile = 16;
const fileFor = (direction: Direction, k: number): string => {
  const part = Math.ceil(k / functionsPerFile);
  return part === 1 ? direction : `${direction}_${part}`;
};

/** Two kernels with equal contents do the same. */
function contentOf(kernel: Kernel): string {
  const { target, bindings, uniforms, workgroups, reductions } = kernel;
  const body = target === 'cpu' ? printBody(kernel) : printWgsl(kernel, 'main', []);
  return JSON.stringify([target, bindings, uniforms, workgroups, reductions, body]);
}

const usersShown = 4;

/** What a kernel computes and who runs it, for the comment above it. */
export function commentOf(op: CompiledOp, { formulas, users, direction }: NamedKernel): string[] {
  const shown = users.slice(0, usersShown).map((user) => `  ${user}`);
  if (users.length > usersShown) shown.push(`  and ${users.length - usersShown} more`);
  return [
    `${op.entry.name}, ${direction}:`,
    ...formulas.map((formula) => `  ${formula}`),
    'Used by',
    ...shown,
  ];
}
