/** Emits one op: its kernels, each once however many variants run it, and the module that describes it. */
import type { CompiledDirection, CompiledOp } from '../compile.ts';
import type { Kernel, Uniform } from '../kernel/kernel.ts';
import type { Direction } from '../spec/spec.ts';
import { describeOp } from './describe.ts';
import { emitFunctions } from './functions.ts';
import { type EmitOptions, header } from './header.ts';
import { identityOfKernel } from './identity.ts';
import { emitOpManifests } from './package.ts';
import { emitWasm } from './wasm.ts';
import { type ModulePlan, planModule } from './wasm-plan.ts';
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
const titleOf = ({ direction, wrt }: Pick<CompiledDirection, 'direction' | 'wrt'>): string =>
  wrt.length > 0 ? `${direction} for ${wrt.join(', ')}` : direction;

export async function emitOp(op: CompiledOp, options: EmitOptions): Promise<EmittedOp> {
  const { kernels, nameOf } = registerKernels(op, options);
  const plans = plansOf(kernels);
  const emitted: Omit<EmittedOp, 'files'> = { op, kernels, nameOf, planOf: ({ file }) => plans.get(file)! };
  const texts = textsOf(emitted, plans, options);
  const files = await Promise.all(texts.map(async ([file, text]) => [file, await text] as const));
  return { ...emitted, files: new Map(files) };
}

/** All kernels of an op with the variants that run them. */
function registerKernels(op: CompiledOp, options: EmitOptions): Pick<EmittedOp, 'kernels' | 'nameOf'> {
  const registry = createRegistry(op.entry.name);
  for (const { key, layouts } of op.variants) {
    for (const { order, directions } of layouts) {
      for (const direction of directions) {
        const layout = layouts.length > 1 ? ` [${order.join(', ')}]` : '';
        const user = `${key || 'no options'}${layout}: ${titleOf(direction)}`;
        for (const kernel of kernelsOf(direction, options))
          registry.register(kernel, direction.direction, user);
      }
    }
  }
  return { kernels: shareModules(registry.kernels()), nameOf: registry.nameOf };
}

/** What a direction runs on the targets that are emitted. */
const kernelsOf = ({ cpu, wasm, gpu }: CompiledDirection, { targets }: EmitOptions): Kernel[] => [
  ...(targets.includes('typescript') ? [cpu] : []),
  ...(targets.includes('wasm') ? [wasm] : []),
  ...(targets.includes('wgsl') ? gpu.flatMap((kernel) => [kernel, ...(kernel.otherwise ?? [])]) : []),
];

interface Registry {
  readonly register: (kernel: Kernel, direction: Direction, user: string) => void;
  readonly kernels: () => NamedKernel[];
  readonly nameOf: (kernel: Kernel) => string;
}

/** A kernel while its users are being found. */
type Registered = Omit<NamedKernel, 'users' | 'formulas'> & {
  readonly users: Set<string>;
  readonly formulas: Set<string>;
};

/** Names kernels by their direction and a number, and equal ones alike. */
function createRegistry(folder: string): Registry {
  const byIdentity = new Map<string, Registered>();
  const names = new Map<Kernel, string>();
  const identities = new Map<Kernel, string>();
  const counts = new Map<string, number>();
  const name = (kernel: Kernel, direction: Direction): Registered => {
    const counter = `${kernel.target} ${direction}`;
    const k = (counts.get(counter) ?? 0) + 1;
    counts.set(counter, k);
    const file = `${folder}/${fileFor(kernel.target, direction, k)}`;
    return { name: `${direction}_${k}`, kernel, direction, users: new Set(), formulas: new Set(), file };
  };
  return {
    register: (kernel, direction, user) => {
      const identity = identities.get(kernel) ?? identityOfKernel(kernel);
      identities.set(kernel, identity);
      const known = byIdentity.get(identity) ?? name(kernel, direction);
      byIdentity.set(identity, known);
      known.users.add(user);
      for (const formula of kernel.formulas) known.formulas.add(formula);
      names.set(kernel, known.name);
    },
    kernels: () =>
      [...byIdentity.values()].map((k) => ({ ...k, users: [...k.users], formulas: [...k.formulas] })),
    nameOf: (kernel) => names.get(kernel)!,
  };
}

/** The plan of each WebAssembly module, by its file. */
const plansOf = (kernels: readonly NamedKernel[]): Map<string, ModulePlan> =>
  new Map(
    [...membersByFile(kernels, 'wasm')].map(([file, members]) => [
      file,
      planModule(members.map(({ kernel }) => kernel)),
    ]),
  );

/** What tools do is begun first and awaited last: they may be on another thread. */
function textsOf(
  emitted: Omit<EmittedOp, 'files'>,
  plans: ReadonlyMap<string, ModulePlan>,
  options: EmitOptions,
): (readonly [file: string, text: string | Promise<string>])[] {
  const { op, kernels } = emitted;
  const folder = op.entry.name;
  const each = <T>(
    target: Kernel['target'],
    textOf: (members: readonly NamedKernel[], file: string) => T,
  ): (readonly [file: string, text: T])[] =>
    [...membersByFile(kernels, target)].map(([file, members]) => [file, textOf(members, file)]);
  return [
    ...each('wasm', (members, file) => emitWasm(op, members, plans.get(file)!, options)),
    ...each('cpu', (members) => emitFunctions(op, members, options)),
    [`${folder}/index.ts`, describeOp(emitted, options)],
    ...each('gpu', (members) => moduleText(op, members, options)),
    ...[...emitOpManifests(emitted, options)].map(([name, text]) => [`${folder}/${name}`, text] as const),
  ];
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
