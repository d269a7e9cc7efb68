/** Everybody who takes part, in the order of the results. */
import { availableParallelism } from 'node:os';
import { loadApart } from './apart.ts';
import type { Team } from './contender.ts';
import { loadCopies } from './contenders/copy.ts';
import { loadJax } from './contenders/jax.ts';
import { loadGpu } from './contenders/normgrad.ts';
import { loadTfjs } from './contenders/tfjs.ts';
import { loadTorch } from './contenders/torch.ts';
import { openGpu } from './gpu.ts';
import { ours, teams } from './teams.ts';

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
  const isChosen = ({ name }: { readonly name: string }) =>
    chosen.length === 0 || chosen.some((word) => name.toLowerCase().includes(word.toLowerCase()));
  const apart = (names: readonly string[]) =>
    Promise.all(names.filter((name) => isChosen({ name })).map(loadApart));
  const loaded = [loadCopies(device), ...(await apart(ours)), await loadGpu(gpu.opened)];
  if (withPeers) {
    const peers = Object.keys(teams).filter((name) => !ours.includes(name));
    loaded.push(
      await loadTorch(threads),
      ...(await apart(peers)),
      await loadJax('webgpu'),
      await loadTfjs('webgpu'),
    );
  }
  const contenders = loaded
    .flatMap((team) => team.contenders)
    .filter((c) => c.side === 'floor' || isChosen(c));
  return {
    contenders: contenders.filter((c) => threads > 1 || c.unit === 'gpu' || c.threads === 'one'),
    absent: [...(gpu.absent ? [gpu.absent] : []), ...loaded.flatMap((team) => team.absent).filter(isChosen)],
    versions: [...new Set(loaded.flatMap((team) => team.versions))],
    adapter: gpu.opened?.description ?? 'none',
    threads,
    close: () => {
      for (const team of loaded) team.close?.();
      device?.destroy();
    },
  };
}
