/** A kernel with the numbers that say how it is spread over a device. */
import type { GpuKernelDescription, Numbers } from './description.ts';
import type { Kernel } from './execute.ts';
import { type DeviceShape, widthOf } from './model.ts';

export interface Launch extends Kernel {
  readonly kernel: GpuKernelDescription;
  readonly launch: Numbers;
}

export function launchOf(kernel: GpuKernelDescription, shape: DeviceShape, numbers: Numbers): Launch {
  const { name, bindings, uniforms, tiles } = kernel;
  const $lanes = shape.lanes;
  if (!tiles) return { kernel, name, bindings, uniforms, launch: { $lanes } };
  const reduced = { kept: tiles.kept(numbers), over: tiles.over(numbers), isAcross: tiles.isAcross === true };
  return { kernel, name, bindings, uniforms, launch: { $lanes, $width: widthOf(reduced, shape) } };
}
