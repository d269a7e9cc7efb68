/** Everybody who takes part. A new library is one more entry here. */
import { availableParallelism } from 'node:os';
import type { Absent, Contender, Team } from './contender.ts';
import { loadCopies } from './contenders/copy.ts';
import { loadJax } from './contenders/jax.ts';
import { loadNormgrad } from './contenders/normgrad.ts';
import { loadOnnx } from './contenders/onnx.ts';
import { loadTfjs } from './contenders/tfjs.ts';
import { loadTorch } from './contenders/torch.ts';
import { openGpu } from './gpu.ts';

export interface Field extends Team {
  /** One line on the WebGPU adapter. */
  readonly adapter: string;
  readonly threads: number;
  readonly close: () => void;
}

/** Loads all, or with `chosen` those whose names contain one of the words. */
export async function loadField(chosen: readonly string[], withPeers: boolean): Promise<Field> {
  const threads = availableParallelism();
  const gpu = await openGpu();
  const device = gpu.opened?.device;
  const teams = [loadCopies(device), await loadNormgrad(threads, gpu.opened)];
  if (withPeers) teams.push(await loadTorch(threads), loadOnnx(threads), await loadJax(), await loadTfjs());
  const isChosen = ({ name }: Contender | Absent) =>
    chosen.length === 0 || chosen.some((word) => name.toLowerCase().includes(word.toLowerCase()));
  const contenders = teams
    .flatMap((team) => team.contenders)
    .filter((c) => c.side === 'floor' || isChosen(c));
  return {
    contenders: contenders.filter((c) => threads > 1 || c.unit === 'gpu' || c.threads === 'one'),
    absent: [...(gpu.absent ? [gpu.absent] : []), ...teams.flatMap((team) => team.absent).filter(isChosen)],
    versions: teams.flatMap((team) => team.versions),
    adapter: gpu.opened?.description ?? 'none',
    threads,
    close: () => {
      for (const team of teams) team.close?.();
      device?.destroy();
    },
  };
}
