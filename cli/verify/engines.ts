/** The targets to check, each with its ops loaded and its device open. */
import { cpu, type OpDescription, webgpu } from '../../runtime/index.ts';
import { Failure, type Io, reasonOf } from '../io.ts';
import { load } from '../load.ts';
import type { Engine } from '../session.ts';

export const targets = ['interpret', 'typescript', 'wasm', 'wgsl'] as const;
export type Target = (typeof targets)[number];

/** Generated code of one target and type, which is one column of the table. */
export interface Column {
  readonly name: string;
  readonly engine: Engine;
  readonly ops: ReadonlyMap<string, OpDescription>;
}

export interface Engines {
  readonly generated: readonly Column[];
  /** All columns, with the interpreter's where that is checked too. */
  readonly columns: readonly string[];
  readonly dispose: () => void;
}

/** Throws a `Failure` where WGSL is to be checked and there is no device for it. */
export async function openEngines(
  chosen: readonly Target[],
  files: ReadonlyMap<string, string>,
  io: Io,
): Promise<Engines> {
  const isGenerated = chosen.some((target) => target !== 'interpret');
  const { ops, dispose } = isGenerated ? await load(files) : { ops: new Map(), dispose: () => {} };
  const generated: Column[] = [];
  if (chosen.includes('typescript')) {
    for (const dtype of ['f64', 'f32'] as const)
      generated.push({
        name: `typescript ${dtype}`,
        engine: { device: cpu({ target: 'typescript' }), dtype },
        ops,
      });
  }
  if (chosen.includes('wasm'))
    generated.push({ name: 'wasm f32', engine: { device: cpu({ target: 'wasm' }), dtype: 'f32' }, ops });
  if (chosen.includes('wgsl'))
    generated.push({ name: 'wgsl f32', engine: { device: await openGpu(io), dtype: 'f32' }, ops });
  return { generated, columns: columnsOf(chosen), dispose };
}

/** The order at which difference quotients converge to the derivation. */
export const orderColumn = 'order';

const columns: { readonly [T in Target]: readonly string[] } = {
  interpret: ['interpret', orderColumn],
  typescript: ['typescript f64', 'typescript f32'],
  wasm: ['wasm f32'],
  wgsl: ['wgsl f32'],
};

/** The columns that some targets have in the table. */
export const columnsOf = (chosen: readonly Target[]): string[] => chosen.flatMap((target) => columns[target]);

async function openGpu(io: Io) {
  const { openDevice } = await import('../device.ts');
  const opened = await openDevice().catch((error: unknown) => {
    throw new Failure(`${reasonOf(error)}\nTo check without a GPU: --target interpret,typescript,wasm`);
  });
  io.err(`wgsl on ${opened.description}\n`);
  return webgpu(opened.device);
}
