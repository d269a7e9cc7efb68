/** What the manifest states of a case: how many dispatches, and how often the data is read and written. */
import { readFile } from 'node:fs/promises';
import type { Case, OpName } from './cases.ts';

interface Kernel {
  readonly reads?: { readonly [name: string]: number };
  readonly writes?: { readonly [name: string]: number };
}

/** Kernel names by target; where one does the work of others if it needs no partial results, both. */
interface Direction {
  readonly [target: string]: readonly (string | { readonly whole: string })[];
}

interface Layout {
  readonly forward: Direction;
  readonly backward: { readonly [wrt: string]: Direction };
  readonly double_backward?: { readonly [wrt: string]: Direction };
}

interface Manifest {
  readonly kernels: { readonly [target: string]: { readonly [name: string]: Kernel } };
  readonly variants: { readonly [key: string]: { readonly layouts: { readonly [order: string]: Layout } } };
}

/** Everything the cases give, in the order of the signature. */
const variantOf: { readonly [K in OpName]: (row: Case) => string } = {
  batch_norm: ({ training }) => `weight bias running_mean running_var${training ? ' training' : ''}`,
  layer_norm: () => 'weight bias',
  group_norm: () => 'weight bias',
  instance_norm: () => 'weight bias use_input_stats',
  rms_norm: () => 'weight',
};

export async function loadManifest(op: OpName): Promise<Manifest> {
  const url = new URL(`../generated/${op}/manifest.json`, import.meta.url);
  return JSON.parse(await readFile(url, 'utf8')) as Manifest;
}

function directionsOf(
  { task, wrt, op }: Case,
  { forward, backward, double_backward }: Layout,
): (Direction | undefined)[] {
  const key = wrt.join(' ');
  if (task === 'forward') return [forward];
  if (task === 'backward') return [backward[key]];
  if (task === 'step') return [forward, backward[key]];
  return [double_backward?.[op === 'rms_norm' ? 'x weight' : 'x weight bias']];
}

/** E.g. `2 × (2R 1W)`: two kernels that together read tensors as large as the data twice and write one. */
export function trafficOf(manifest: Manifest, row: Case, target: string): string {
  const orders = Object.values(manifest.variants[variantOf[row.op](row)]?.layouts ?? {});
  const layout = orders[row.layout === 'last' ? 1 : 0];
  const names = layout ? directionsOf(row, layout).flatMap((direction) => direction?.[target] ?? []) : [];
  const kernels = names.map((name) => {
    const whole = typeof name === 'string' ? name : name.whole;
    return manifest.kernels[target]?.[whole] ?? {};
  });
  if (kernels.length === 0) return '–';
  const count = (side: 'reads' | 'writes') =>
    kernels.flatMap((kernel) => Object.values(kernel[side] ?? {})).reduce((a, b) => a + b, 0);
  return `${kernels.length}: ${count('reads')}R ${count('writes')}W`;
}
