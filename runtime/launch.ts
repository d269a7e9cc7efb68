/** Kernels with the numbers that say how they are spread over a device. */
import type { GpuKernelDescription, Numbers } from './description.ts';
import type { Kernel } from './execute.ts';
import { type DeviceShape, planOf } from './model.ts';

export interface Launch extends Kernel {
  readonly kernel: GpuKernelDescription;
  readonly launch: Numbers;
}

/** A kernel once, or where it reduces in blocks, twice: to partial results, and to merge them. */
export function launchesOf(kernel: GpuKernelDescription, shape: DeviceShape, numbers: Numbers): Launch[] {
  const { tiles, name, bindings, uniforms } = kernel;
  const launch = (numbers: Numbers): Launch => ({ kernel, name, bindings, uniforms, launch: numbers });
  if (!tiles) return [launch({ $groups: kernel.workgroups!(numbers) })];
  const { vector, isAcross = false, shared = 0, splits = shared === 0 } = tiles;
  const $many = vector && numbers[vector]! % 4 === 0 ? 4 : 1;
  const [kept, over] = [tiles.kept({ ...numbers, $many }), tiles.over({ ...numbers, $many })];
  const { together, width, blocks } = planOf({ kept, over, isAcross, shared, splits }, shape);
  const $share = Math.ceil(over / blocks);
  const $blocks = Math.ceil(over / $share) || 1;
  const chosen = {
    $many,
    $width: width,
    $together: together,
    $groups: Math.ceil(kept / together),
    $share,
    $blocks,
    $taken: 0,
  };
  if (shared === 0 || $blocks === 1) return [launch(chosen)];
  return [launch(chosen), launch({ ...chosen, $share: 0, $blocks: 1, $taken: $blocks })];
}
