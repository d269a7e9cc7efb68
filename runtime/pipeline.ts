/** Compiles kernels into compute pipelines, each once a device. */
import type { GpuKernelDescription } from './description.ts';
import { fail } from './error.ts';
import { loadSource } from './source.ts';

export interface Pipelines {
  /** Compiles what has not been compiled yet. Rejects with the compiler's messages. */
  prepare(kernels: readonly GpuKernelDescription[]): Promise<void>;
  /** A pipeline that was prepared. */
  get(kernel: GpuKernelDescription): GPUComputePipeline;
}

const computeStage = 4; // GPUShaderStage.COMPUTE, which Node has not as a global

export function makePipelines(device: GPUDevice): Pipelines {
  // Kernels of several variants are often the same file: what counts is the text.
  const byText = new Map<string, Promise<GPUComputePipeline>>();
  const ready = new WeakMap<GpuKernelDescription, GPUComputePipeline>();

  const prepareOne = async (kernel: GpuKernelDescription) => {
    const code = await loadSource(kernel.source);
    const layout = kernel.bindings.map((binding) => binding.access === 'read');
    const key = JSON.stringify([kernel.entryPoint, layout, kernel.uniforms.length > 0, code]);
    let pipeline = byText.get(key);
    if (!pipeline) {
      pipeline = compile(device, kernel, code);
      pipeline.catch(() => byText.delete(key));
      byText.set(key, pipeline);
    }
    ready.set(kernel, await pipeline);
  };
  return {
    prepare: async (kernels) => {
      const missing = kernels.filter((kernel) => !ready.has(kernel));
      if (missing.length > 0) await Promise.all(missing.map(prepareOne));
    },
    get: (kernel) => ready.get(kernel)!,
  };
}

async function compile(
  device: GPUDevice,
  kernel: GpuKernelDescription,
  code: string,
): Promise<GPUComputePipeline> {
  const { name, bindings, uniforms, entryPoint } = kernel;
  const allowed = device.limits.maxStorageBuffersPerShaderStage;
  if (bindings.length > allowed) {
    const limit = `maxStorageBuffersPerShaderStage = ${allowed}`;
    fail('limit', `${name} binds ${bindings.length} buffers, but the device was requested with ${limit}`);
  }
  const entries = bindings.map(
    ({ access }, binding): GPUBindGroupLayoutEntry => ({
      binding,
      visibility: computeStage,
      buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
    }),
  );
  if (uniforms.length > 0) {
    entries.push({ binding: entries.length, visibility: computeStage, buffer: { type: 'uniform' } });
  }
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: name, code });
  const layout = device.createPipelineLayout({
    bindGroupLayouts: [device.createBindGroupLayout({ entries })],
  });
  const scope = device.popErrorScope();
  const pipeline = device.createComputePipelineAsync({
    label: name,
    layout,
    compute: { module, entryPoint },
  });
  // Awaited below; a failure of the scope must not leave it unhandled.
  pipeline.catch(() => {});
  const error = await scope;
  if (error) fail('kernel', `${name} does not compile: ${error.message}`);
  return pipeline.catch((reason: Error) => fail('kernel', `${name} does not compile: ${reason.message}`));
}
