/** Kernels with the numbers that say how they are spread over a device. */
import type { GpuKernelDescription, Numbers } from './description.ts';
import type { Kernel } from './execute.ts';
import { type DeviceShape, planOf } from './model.ts';

export interface Launch extends Kernel, GpuKernelDescription {
  /** Override constants. */
  readonly constants: Record<string, number>;
  readonly numbers: Numbers;
}

/** A kernel once, or where it reduces in blocks, twice: to partial results, and to merge them; or others instead. */
export function launchesOf(kernel: GpuKernelDescription, shape: DeviceShape, given: Numbers): Launch[] {
  const { tiles, otherwise } = kernel;
  const { vector, isAcross = false, shared = 0, maps, splits = !shared || !!otherwise } = tiles;
  const $many = vector && given[vector]! % 4 === 0 ? 4 : 1;
  const sizes = { ...given, $many };
  const [kept, over] = [tiles.kept(sizes), tiles.over(sizes)];
  const { together, width, blocks } = planOf({ kept, over, isAcross, shared, splits }, shape);
  if (otherwise && blocks > 1) return otherwise.flatMap((one) => launchesOf(one, shape, given));
  const constants = { width, together, ...(shared > 0 && { team: width * together }) };
  const $share = Math.ceil(over / blocks);
  const $blocks = Math.ceil(over / $share) || 1;
  const $groups = Math.ceil(kept / together);
  const numbers = {
    ...sizes,
    $turns: $share / width,
    $groups,
    $share,
    $mapped: $share || 1,
    $blocks,
    $taken: 0,
  };
  const launch = (chosen: Numbers): Launch => ({
    ...kernel,
    constants,
    numbers: { ...numbers, ...chosen },
  });
  if (shared === 0 || $blocks === 1) return [launch({})];
  return [launch({ $mapped: 0 }), launch({ $share: 0, $blocks: maps ? $blocks : 1, $taken: $blocks })];
}
