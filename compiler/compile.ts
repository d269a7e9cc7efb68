/**
 * The order of the passes: read this first. Text goes in, files come out; nothing else is touched.
 *
 *   text ─parseSpec→ Spec ─lowerEntry→ Forward ─programsOf→ Program ─stagesOf→ Stage ─lowerCpu, lowerWasm, lowerGpu→ Kernel
 *        ─emit→ files
 */
import { type Diagnostic, invariant } from './diagnostics.ts';
import { header, specHash } from './emit/header.ts';
import { emitOp } from './emit/op.ts';
import { emitIndex, emitManifest } from './emit/package.ts';
import { type Tools, tools } from './emit/tools.ts';
import { subgroupsFile, subgroupsText } from './emit/wgsl-lanes.ts';
import { type Forward, lowerEntry } from './graph/formulas.ts';
import { lowerCpu } from './kernel/cpu.ts';
import { lowerGpu } from './kernel/gpu.ts';
import type { Kernel } from './kernel/kernel.ts';
import { shareKernels } from './kernel/share.ts';
import { lowerWasm } from './kernel/wasm.ts';
import { type Program, programsOf } from './schedule/program.ts';
import { stagesOf } from './schedule/stages.ts';
import { parseSpec } from './spec/parse.ts';
import type { Axis, Direction, Entry, Spec, Variant } from './spec/spec.ts';
import { variantKey, variantsOf } from './spec/variants.ts';
import { type Target, targets } from './targets.ts';

export { type Target, targets };

export interface CompileOptions {
  /** The spec's file name, for messages and headers. */
  readonly file: string;
  readonly targets?: readonly Target[];
  /** Compile this entry alone. */
  readonly only?: string;
  /** Changes an entry before it is compiled, e.g. the directions or layouts to generate. */
  readonly adapt?: (entry: Entry) => Entry;
  /** Where emitters have their large packages run; on this thread by default. */
  readonly tools?: Tools;
}

export interface CompileResult {
  readonly spec: Spec;
  readonly diagnostics: readonly Diagnostic[];
  /** Contents by path relative to the output folder; empty where there are diagnostics. */
  readonly files: ReadonlyMap<string, string>;
}

/** One direction of one variant in one layout, ready to emit. */
export interface CompiledDirection {
  readonly direction: Direction;
  /** The gradients wanted, in signature order. */
  readonly wrt: readonly string[];
  readonly program: Program;
  /** Variants share it. */
  readonly cpu: Kernel;
  readonly wasm: Kernel;
  readonly gpu: readonly Kernel[];
}

export interface CompiledVariant {
  readonly key: string;
  readonly variant: Variant;
  readonly forward: Forward;
  readonly layouts: readonly {
    readonly order: readonly Axis[];
    readonly directions: readonly CompiledDirection[];
  }[];
}

export interface CompiledOp {
  readonly entry: Entry;
  readonly variants: readonly CompiledVariant[];
  /** Why a combination of flags and optional tensors is not a variant, by its key. */
  readonly unavailable: ReadonlyMap<string, string>;
}

/** Compiles a spec to the files of its output folder. Never throws for what a spec says: see `diagnostics`. */
export async function compile(text: string, options: CompileOptions): Promise<CompileResult> {
  const { spec, diagnostics } = parseSpec(text, options.file);
  if (diagnostics.length > 0) return { spec, diagnostics, files: new Map() };
  const entries = spec.entries.filter(({ name }) => options.only === undefined || name === options.only);
  const { adapt = (entry) => entry } = options;
  const emit = { targets, tools, ...options, hash: specHash(text) };
  const emitted = await Promise.all(entries.map((entry) => emitOp(compileEntry(adapt(entry)), emit)));
  const files = new Map<string, string>();
  for (const [path, content] of emitted.flatMap((op) => [...op.files])) {
    invariant(!files.has(path), `two files are called ${path}`);
    files.set(path, content);
  }
  files.set('index.ts', emitIndex(emitted, emit));
  files.set('manifest.json', emitManifest(emitted, emit));
  if (emit.targets.includes('wgsl')) files.set(subgroupsFile, subgroupsText(header(emit)));
  return { spec, diagnostics, files };
}

/** Every variant of an entry, in every layout, as kernels. */
export function compileEntry(entry: Entry): CompiledOp {
  const lower = createLowering(entry);
  return {
    entry,
    variants: shareBetween(
      entry,
      variantsOf(entry).map((variant) => compileVariant(entry, variant, lower)),
    ),
    unavailable: unavailable(entry),
  };
}

function compileVariant(entry: Entry, variant: Variant, lower: Lowering): CompiledVariant {
  const forward = lowerEntry(entry, variant);
  const programs = programsOf(forward);
  const all: Program[] = [
    programs.forward,
    ...programs.backward,
    ...(programs.jvp ? [programs.jvp] : []),
    ...programs.double_backward,
  ];
  const lowered = all.map((program) => ({ program, kernels: lower(program) }));
  const layouts = entry.layouts.map((order, i) => ({
    order,
    directions: lowered.map(
      ({ program, kernels }): CompiledDirection => ({
        direction: program.direction,
        wrt: program.wrt,
        program,
        ...kernels[i]!,
      }),
    ),
  }));
  return { key: variantKey(entry, variant), variant, forward, layouts };
}

/** The kernels of a program in each layout of its entry. */
type Lowering = (program: Program) => readonly Pick<CompiledDirection, 'cpu' | 'wasm' | 'gpu'>[];

/** Variants that differ in nothing that a direction uses have equal programs, which are lowered once. */
function createLowering(entry: Entry): Lowering {
  const known = new Map<string, ReturnType<Lowering>>();
  return (program) => {
    const outputs = program.outputs.map(({ role, of, axes, expr }) => [role, of, ...axes, expr.id].join(' '));
    const key = [program.direction, ...outputs].join('\n');
    let kernels = known.get(key);
    if (!kernels) {
      const stages = stagesOf(program);
      kernels = entry.layouts.map((order) => ({
        cpu: lowerCpu(entry, program, stages, order),
        wasm: lowerWasm(entry, program, stages, order),
        gpu: lowerGpu(entry, program, stages, order),
      }));
      known.set(key, kernels);
    }
    return kernels;
  };
}

/** The same variants, those that differ by absent tensors with the same CPU kernels. */
function shareBetween(entry: Entry, variants: readonly CompiledVariant[]): CompiledVariant[] {
  const shared = new Map<CompiledDirection, Kernel>();
  for (const i of entry.layouts.keys()) {
    const uses = variants.flatMap(({ variant, layouts }) =>
      layouts[i]!.directions.map((of) => ({ of, variant, program: of.program, kernel: of.cpu })),
    );
    for (const direction of new Set(uses.map(({ of }) => of.direction))) {
      const members = uses.filter(({ of }) => of.direction === direction);
      for (const [{ of }, kernel] of shareKernels(entry, members)) shared.set(of, kernel);
    }
  }
  const share = (direction: CompiledDirection): CompiledDirection => ({
    ...direction,
    cpu: shared.get(direction)!,
  });
  return variants.map((variant) => ({
    ...variant,
    layouts: variant.layouts.map(({ order, directions }) => ({ order, directions: directions.map(share) })),
  }));
}

/** Why a combination of flags and optional tensors is not a variant, by its key. */
export function unavailable(entry: Entry): Map<string, string> {
  const available = new Set(variantsOf(entry).map((variant) => variantKey(entry, variant)));
  const reasons = new Map<string, string>();
  for (const variant of variantsOf({ ...entry, require: [] })) {
    const key = variantKey(entry, variant);
    if (available.has(key)) continue;
    const violated = entry.require.find((requirement) =>
      variantsOf({ ...entry, require: [requirement] }).every((other) => variantKey(entry, other) !== key),
    );
    reasons.set(key, violated?.else ?? 'this combination is not available');
  }
  return reasons;
}
