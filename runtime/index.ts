/** The runtime: runs what normgrad generated, on a WebGPU device or on the CPU. Depends on nothing. */
export { type CpuDevice, type CpuOptions, cpu } from './cpu.ts';
export type * from './description.ts';
export type { RunFunction } from './device.ts';
export { type ErrorCode, NormgradError } from './error.ts';
export type { Data, Dtype, Storage, Tensor } from './tensor.ts';
export type { GradientsOf, Run, RunOptions, SecondOf, Some, TensorsOf } from './types.ts';
export { type WebGpuDevice, type WebGpuOptions, webgpu } from './webgpu.ts';
