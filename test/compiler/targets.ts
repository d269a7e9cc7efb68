/** A spec compiled in memory and ready to be called on every target. */
import { parse, stringify } from 'yaml';
import { openDevice } from '../../cli/device.ts';
import { interpreted } from '../../cli/interpreter.ts';
import { load } from '../../cli/load.ts';
import type { Engine } from '../../cli/session.ts';
import { type CompileOptions, compile } from '../../compiler/compile.ts';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import type { Entry } from '../../compiler/spec/spec.ts';
import { cpu, type OpDescription, webgpu } from '../../runtime/index.ts';

export interface Compiled {
  readonly files: ReadonlyMap<string, string>;
  readonly entries: readonly Entry[];
  /** What the compiler emitted, by name. */
  readonly ops: ReadonlyMap<string, OpDescription>;
  /** The same ops on the interpreter. */
  readonly interpreted: ReadonlyMap<string, OpDescription>;
  /** Removes the files that were loaded. */
  readonly dispose: () => void;
}

/** Compiles and loads; a mistake in the spec is an error. */
export async function compileSpec(text: string, options: Partial<CompileOptions> = {}): Promise<Compiled> {
  const file = options.file ?? 'spec.yaml';
  const { spec, diagnostics, files } = await compile(text, { ...options, file });
  if (diagnostics.length > 0)
    throw new Error(diagnostics.map((d) => formatDiagnostic(d, text, file)).join('\n'));
  const { ops, dispose } = await load(files);
  const entries = spec.entries.filter(({ name }) => ops.has(name));
  const interpretedOps = new Map(entries.map((e) => [e.name, interpreted(e)]));
  return { files, entries, ops, interpreted: interpretedOps, dispose };
}

/** The spec with every entry generating these directions. */
export function generating(text: string, directions: readonly string[]): string {
  const entries = parse(text) as { [key: string]: unknown }[];
  return stringify(
    entries.map((entry) => ({ ...entry, generate: directions })),
    { lineWidth: 0 },
  );
}

export const everyDirection = ['forward', 'backward', 'jvp', 'double_backward'];

export interface Target extends Engine {
  readonly name: string;
  /** The compiler's kernels, or the interpreter's. */
  readonly of: 'ops' | 'interpreted';
}

const plain = cpu({ target: 'typescript' });
export const interpreter: Target = { name: 'interpret', of: 'interpreted', device: plain, dtype: 'f64' };
export const typescript64: Target = { name: 'typescript f64', of: 'ops', device: plain, dtype: 'f64' };
export const typescript32: Target = { name: 'typescript f32', of: 'ops', device: plain, dtype: 'f32' };
/** The caller and one more thread, so that chunks are shared on any machine. */
export const wasm: Target = {
  name: 'wasm f32',
  of: 'ops',
  device: cpu({ target: 'wasm', threads: 2 }),
  dtype: 'f32',
};

let opened: Promise<Target> | undefined;

/** WGSL on one device for the whole process. */
export function wgsl(): Promise<Target> {
  opened ??= openDevice().then(({ device }) => ({
    name: 'wgsl',
    of: 'ops',
    device: webgpu(device),
    dtype: 'f32',
  }));
  return opened;
}
