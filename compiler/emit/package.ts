/** The files beside the ops': the index that re-exports them, and the manifest for other engines. */
import type { CompiledDirection } from '../compile.ts';
import { mapCode } from '../kernel/collect.ts';
import {
  type Binding,
  type Code,
  isIndex,
  type Kernel,
  name,
  type ReductionReport,
  type Tiles,
} from '../kernel/kernel.ts';
import type { Argument, Entry } from '../spec/spec.ts';
import { typesName } from '../spec/words.ts';
import { describeTiles, numberName } from './describe-kernel.ts';
import { functionName } from './functions.ts';
import { type EmitOptions, header } from './header.ts';
import type { EmittedOp, NamedKernel } from './op.ts';
import type { ModulePlan } from './wasm-plan.ts';
import { printFormula } from './wgsl-language.ts';

export const emitIndex = (emitted: readonly EmittedOp[], options: EmitOptions): string => {
  const exports = emitted.map(
    ({ op }) =>
      `export { ${op.entry.name}, type ${typesName(op.entry.name)} } from './${op.entry.name}/index.ts';`,
  );
  return `// ${header(options)}\n\n${exports.join('\n')}\n`;
};

/** The version of the manifest's format. */
const version = 1;

/** The table of contents; each op's own manifest lies in its folder, so that no file grows with the spec. */
export function emitManifest(emitted: readonly EmittedOp[], options: EmitOptions): string {
  const { file, hash, targets } = options;
  const ops = emitted.map(({ op }) => {
    const { name, signature } = op.entry;
    return [
      name,
      { manifest: `${name}/manifest.json`, signature, variants: op.variants.map(({ key }) => key) },
    ];
  });
  const spec = { file: file.split(/[\\/]/).at(-1), sha256: hash };
  return `${stringify({ generator: header(options), version, spec, targets, ops: Object.fromEntries(ops) }, '')}\n`;
}

/** Where the WebAssembly kernels of an op are described: a file of their own, beside the op's manifest. */
const wasmManifest = 'wasm.json';

/** Everything an engine needs to run one op, as `manifest.schema.json` describes it, by file name. */
export function emitOpManifests(
  emitted: Omit<EmittedOp, 'files'>,
  options: EmitOptions,
): ReadonlyMap<string, string> {
  const { op, nameOf } = emitted;
  const { targets } = options;
  const { entry } = op;
  const head = { generator: header(options), version, op: entry.name };
  const variants = op.variants.map(({ key, forward, layouts }) => {
    const byOrder = layouts.map(({ order, directions }) => [
      order.join(' '),
      describeDirections(directions, targets, nameOf),
    ]);
    const requirements = forward.conditions.map(({ message }) => message);
    return [key, { ...(requirements.length > 0 && { requirements }), layouts: Object.fromEntries(byOrder) }];
  });
  const { kernels, ...tables } = describeKernels(emitted, ['gpu', 'cpu']);
  const hasWasm = targets.includes('wasm');
  const manifest = {
    ...head,
    signature: entry.signature,
    axes: entry.axes,
    arguments: entry.arguments.map(describeArgument),
    returns: entry.returns.map(({ name, axes, differentiable }) => ({ name, axes, differentiable })),
    ...tables,
    kernels: {
      ...(targets.includes('wgsl') && { wgsl: kernels.gpu }),
      ...(hasWasm && { wasm: wasmManifest }),
      ...(targets.includes('typescript') && { typescript: kernels.cpu }),
    },
    variants: Object.fromEntries(variants),
  };
  const files = new Map([['manifest.json', `${stringify(manifest, '')}\n`]]);
  if (hasWasm) {
    const { kernels: described, ...own } = describeKernels(emitted, ['wasm']);
    files.set(wasmManifest, `${stringify({ ...head, ...own, kernels: described.wasm }, '')}\n`);
  }
  return files;
}

type Described = { readonly [name: string]: object };

/** The kernels of some targets, and the tables that they refer to. */
function describeKernels(
  emitted: Omit<EmittedOp, 'files'>,
  targets: readonly Kernel['target'][],
): {
  readonly bindings: Described;
  readonly uniforms: Described;
  readonly reductions: Described;
  readonly tiles?: Described;
  readonly phases?: Described;
  readonly kernels: { readonly [target in Kernel['target']]?: Described };
} {
  const bindings = new Map<string, object>();
  const phases = new Map<string, object>();
  const tiles = new Map<string, object>();
  const label = labeller(bindings);
  const reductions = new Map<string, ReductionReport>();
  const labels = new Map<string, string>();
  const refer = (reduction: ReductionReport): string => {
    const text = JSON.stringify(reduction);
    const known = labels.get(text) ?? `r${labels.size + 1}`;
    labels.set(text, known);
    reductions.set(known, reduction);
    return known;
  };
  const members = emitted.kernels.filter(({ kernel }) => targets.includes(kernel.target));
  const kernels = targets.map((target) => {
    const own = members.filter(({ kernel }) => kernel.target === target);
    return [
      target,
      Object.fromEntries(
        own.map((k) => [k.name, describeKernel(emitted, k, label, { phases, tiles }, refer)]),
      ),
    ];
  });
  return {
    kernels: Object.fromEntries(kernels),
    bindings: Object.fromEntries(bindings),
    uniforms: Object.fromEntries(
      members.flatMap((k) => k.kernel.uniforms.map(({ name, of, type }) => [name, { of, type }])),
    ),
    reductions: Object.fromEntries(reductions),
    ...(tiles.size > 0 && { tiles: Object.fromEntries(tiles) }),
    ...(phases.size > 0 && { phases: Object.fromEntries(phases) }),
  };
}

/** Bindings are described once and referred to by a label: the name, numbered where several share it. */
function labeller(bindings: Map<string, object>): (binding: Binding, kernel: Kernel) => string {
  const labels = new Map<string, string>();
  return ({ length, of, ...binding }, kernel) => {
    const belongsTo = of === binding.name ? {} : { of };
    const dtype = binding.dtype ?? (kernel.target === 'cpu' ? 'f32 | f64' : 'f32');
    const described = {
      ...binding,
      ...belongsTo,
      dtype,
      ...(length && { length: formulaOf(length, kernel) }),
    };
    const text = JSON.stringify(described);
    let known = labels.get(text);
    if (!known) {
      known = binding.name;
      for (let k = 2; bindings.has(known); k++) known = `${binding.name}#${k}`;
      labels.set(text, known);
      bindings.set(known, described);
    }
    return known;
  };
}

/** Over axis sizes and attributes, by the names the caller knows. */
const formulaOf = (code: Code, kernel: Kernel): string =>
  printFormula(mapCode(code, (id, type) => name(numberName(kernel, id), type)));

function describeArgument(a: Argument): object {
  if (a.kind !== 'tensor')
    return { name: a.name, kind: a.kind, ...(a.default !== undefined && { default: a.default }) };
  const { name, kind, axes, optional, state, differentiable } = a;
  return {
    name,
    kind,
    axes,
    ...(optional && { optional }),
    ...(state && { state }),
    ...(differentiable && { differentiable }),
  };
}

function describeDirections(
  directions: readonly CompiledDirection[],
  targets: EmitOptions['targets'],
  nameOf: (kernel: Kernel) => string,
): object {
  const describeGpu = (kernel: Kernel): string | object =>
    kernel.otherwise
      ? { whole: nameOf(kernel), otherwise: kernel.otherwise.map(describeGpu) }
      : nameOf(kernel);
  const kernels = ({ cpu, wasm, gpu }: CompiledDirection): object => ({
    ...(targets.includes('wgsl') && { wgsl: gpu.map(describeGpu) }),
    ...(targets.includes('wasm') && { wasm: [nameOf(wasm)] }),
    ...(targets.includes('typescript') && { typescript: [nameOf(cpu)] }),
  });
  const result: { [direction: string]: object } = {};
  for (const d of directions) {
    if (d.wrt.length === 0) result[d.direction] = kernels(d);
    else result[d.direction] = { ...result[d.direction], [d.wrt.join(' ')]: kernels(d) };
  }
  return result;
}

function describeKernel(
  { op, planOf }: Omit<EmittedOp, 'files'>,
  named: NamedKernel,
  label: (binding: Binding, kernel: Kernel) => string,
  { phases, tiles }: { readonly [table in 'phases' | 'tiles']: Map<string, object> },
  refer: (reduction: ReductionReport) => string,
): object {
  const plan = (): ModulePlan => planOf(named);
  const { kernel, file } = named;
  const isFull = isFullSize(op.entry);
  const names = new Map(kernel.bindings.map((b) => [b.name, b]));
  const touched = (what: 'reads' | 'writes'): object => {
    const counts = kernel.traffic.filter((t) => t[what] > 0 && isFull(names.get(t.name)!));
    return counts.length === 0 ? {} : { [what]: Object.fromEntries(counts.map((t) => [t.name, t[what]])) };
  };
  return {
    file: file.split('/').at(-1),
    ...(kernel.target === 'wasm'
      ? {
          slots: plan()
            .argumentsOf(kernel)
            .map(({ slot }) => slot),
          phases: labelPhases(named, plan(), phases),
        }
      : { entryPoint: kernel.target === 'gpu' ? named.name : functionName(op, named) }),
    ...(kernel.tiles && { tiles: labelTiles(kernel.tiles, kernel, tiles) }),
    bindings: kernel.bindings.map((binding) => label(binding, kernel)),
    uniforms: kernel.uniforms.map(({ name }) => name),
    reductions: kernel.reductions.map(refer),
    ...touched('reads'),
    ...touched('writes'),
  };
}

/** So are tiles, by a number. */
function labelTiles(tiles: Tiles, kernel: Kernel, known: Map<string, object>): string {
  const { kept, over } = tiles;
  const described = {
    kept: formulaOf(kept, kernel),
    over: formulaOf(over, kernel),
    ...describeTiles(tiles, kernel),
  };
  const label = [...known].find(([, other]) => isEqual(other, described))?.[0] ?? `t${known.size + 1}`;
  known.set(label, described);
  return label;
}

/** Phases are described once and referred to by their file and what runs them. */
function labelPhases({ kernel, file }: NamedKernel, plan: ModulePlan, phases: Map<string, object>): string[] {
  const module = file.split('/').at(-1)!.split('.')[0];
  return describePhases(kernel, plan).map((described) => {
    const base = `${module} ${described.together}`;
    let label = base;
    for (let k = 2; phases.has(label) && !isEqual(phases.get(label)!, described); k++) label = `${base}#${k}`;
    phases.set(label, described);
    return label;
  });
}

const isEqual = (a: object, b: object): boolean => JSON.stringify(a) === JSON.stringify(b);

function describePhases(kernel: Kernel, plan: ModulePlan): { readonly together: string }[] {
  return plan.phasesOf(kernel).map(({ phase, names, together }) => {
    const kept = formulaOf(phase.kept, kernel);
    const isCut = kernel.uniforms.some(({ name }) => name === phase.blocks.name);
    if (!isCut) return { kept, together };
    return {
      kept,
      together,
      units: formulaOf(phase.units, kernel),
      ...(!isIndex(phase.strips, 1) && { strips: formulaOf(phase.strips, kernel) }),
      blocks: phase.blocks.name,
      routines: Object.fromEntries(names.map((name, i) => [name, phase.routines[i]!.over])),
    };
  });
}

/** As large as the data: no argument or return has these axes and more. */
export function isFullSize(entry: Entry): (binding: Pick<Binding, 'axes'>) => boolean {
  const all = [
    ...entry.arguments.flatMap((a) => (a.kind === 'tensor' ? [a.axes] : [])),
    ...entry.returns.map((r) => r.axes),
  ];
  return ({ axes }) =>
    !all.some((other) => other.length > axes.length && axes.every((axis) => other.includes(axis)));
}

/** JSON in which what fits on a long line stands on one. */
export function stringify(value: unknown, indent: string): string {
  const flat = JSON.stringify(value);
  if (typeof value !== 'object' || value === null || flat.length + indent.length < 400) return spaced(flat);
  const inner = `${indent} `;
  if (Array.isArray(value))
    return `[\n${value.map((v) => inner + stringify(v, inner)).join(',\n')}\n${indent}]`;
  const members = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .map(([k, v]) => `${inner}${JSON.stringify(k)}: ${stringify(v, inner)}`);
  return `{\n${members.join(',\n')}\n${indent}}`;
}

/** A space after each comma and colon that is not inside a string. */
const spaced = (flat: string): string =>
  flat.replace(/("(?:[^"\\]|\\.)*")|([,:])/g, (_, text, mark) => text ?? `${mark} `);
