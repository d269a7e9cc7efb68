/** The files beside the ops': the index that re-exports them, and the manifest for other engines. */
import type { CompiledDirection, CompiledOp } from '../compile.ts';
import { mapCode } from '../kernel/collect.ts';
import { type Binding, type Kernel, name } from '../kernel/kernel.ts';
import type { Argument, Entry } from '../spec/spec.ts';
import { numberName, typesName } from './describe.ts';
import { functionName } from './functions.ts';
import { type EmitOptions, header } from './header.ts';
import type { EmittedOp, NamedKernel } from './op.ts';
import { printFormula } from './wgsl.ts';

export const emitIndex = (emitted: readonly EmittedOp[], options: EmitOptions): string => {
  const exports = emitted.map(
    ({ op }) =>
      `export { ${op.entry.name}, type ${typesName(op.entry)} } from './${op.entry.name}/index.ts';`,
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

/** Everything an engine needs to run one op, as `manifest.schema.json` describes it. */
export function emitOpManifest(emitted: Omit<EmittedOp, 'files'>, options: EmitOptions): string {
  const { op, kernels, nameOf } = emitted;
  const { targets } = options;
  const { entry } = op;
  const bindings = new Map<string, object>();
  const label = labeller(bindings);
  const of = (target: Kernel['target']): object =>
    Object.fromEntries(
      kernels.filter((k) => k.kernel.target === target).map((k) => [k.name, describeKernel(op, k, label)]),
    );
  const variants = op.variants.map(({ key, forward, layouts }) => {
    const byOrder = layouts.map(({ order, directions }) => [
      order.join(' '),
      describeDirections(directions, targets, nameOf),
    ]);
    const requirements = forward.conditions.map(({ message }) => message);
    return [key, { ...(requirements.length > 0 && { requirements }), layouts: Object.fromEntries(byOrder) }];
  });
  const described = {
    ...(targets.includes('wgsl') && { wgsl: of('gpu') }),
    ...(targets.includes('typescript') && { typescript: of('cpu') }),
  };
  const manifest = {
    generator: header(options),
    version,
    op: entry.name,
    signature: entry.signature,
    axes: entry.axes,
    arguments: entry.arguments.map(describeArgument),
    returns: entry.returns.map(({ name, axes, differentiable }) => ({ name, axes, differentiable })),
    bindings: Object.fromEntries(bindings),
    uniforms: Object.fromEntries(
      kernels.flatMap((k) => k.kernel.uniforms.map(({ name, of, type }) => [name, { of, type }])),
    ),
    kernels: described,
    variants: Object.fromEntries(variants),
  };
  return `${stringify(manifest, '')}\n`;
}

/** Bindings are described once and referred to by a label: the name, numbered where several share it. */
function labeller(bindings: Map<string, object>): (binding: Binding, kernel: Kernel) => string {
  const labels = new Map<string, string>();
  return ({ length, of, ...binding }, kernel) => {
    const belongsTo = of === binding.name ? {} : { of };
    const dtype = kernel.target === 'gpu' ? 'f32' : 'f32 | f64';
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
const formulaOf = (code: Kernel['workgroups'], kernel: Kernel): string =>
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
  const kernels = ({ cpu, gpu }: CompiledDirection): object => ({
    ...(targets.includes('wgsl') && { wgsl: gpu.map(nameOf) }),
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
  op: CompiledOp,
  named: NamedKernel,
  label: (binding: Binding, kernel: Kernel) => string,
): object {
  const { kernel, file } = named;
  const isGpu = kernel.target === 'gpu';
  const isFull = isFullSize(op.entry);
  const names = new Map(kernel.bindings.map((b) => [b.name, b]));
  const touched = (what: 'reads' | 'writes'): object => {
    const counts = kernel.traffic.filter((t) => t[what] > 0 && isFull(names.get(t.name)!));
    return counts.length === 0 ? {} : { [what]: Object.fromEntries(counts.map((t) => [t.name, t[what]])) };
  };
  return {
    file: file.split('/').at(-1),
    entryPoint: isGpu ? named.name : functionName(op, named),
    ...(isGpu && { workgroups: formulaOf(kernel.workgroups, kernel) }),
    ...(kernel.tiles && {
      tiles: {
        kept: formulaOf(kernel.tiles.kept, kernel),
        over: formulaOf(kernel.tiles.over, kernel),
        ...(kernel.tiles.isAcross && { isAcross: true }),
      },
    }),
    bindings: kernel.bindings.map((binding) => label(binding, kernel)),
    uniforms: kernel.uniforms.map(({ name }) => name),
    reductions: kernel.reductions,
    ...touched('reads'),
    ...touched('writes'),
  };
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
  if (typeof value !== 'object' || value === null || flat.length + indent.length < 240) return spaced(flat);
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
