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

export interface Choice {
  /** Words of which names contain one; none, and all take part. */
  readonly targets: readonly string[];
  readonly peers: boolean;
}

/** Loads those that are chosen, on WebGPU too or on the CPU alone. */
export async function loadField({ targets, peers }: Choice, withGpu: boolean): Promise<Field> {
  const threads = availableParallelism();
  const gpu: Awaited<ReturnType<typeof openGpu>> = withGpu ? await openGpu() : {};
  const device = gpu.opened?.device;
  const isChosen = ({ name }: { readonly name: string }) =>
    targets.length === 0 || targets.some((word) => name.toLowerCase().includes(word.toLowerCase()));
  const apart = (names: readonly string[]) =>
    Promise.all(names.filter((name) => isChosen({ name })).map(loadApart));
  const loaded = [loadCopies(device), ...(await apart(ours))];
  if (withGpu) loaded.push(await loadGpu(gpu.opened));
  if (peers) {
    const theirs = Object.keys(teams).filter((name) => !ours.includes(name));
    loaded.push(await loadTorch(threads), ...(await apart(theirs)));
  }
  if (peers && withGpu) loaded.push(await loadJax('webgpu'), await loadTfjs('webgpu'));
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
