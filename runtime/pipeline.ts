/** Compiles kernels into compute pipelines, each once a device. */
import type { GpuKernelDescription, Numbers } from './description.ts';
import { fail } from './error.ts';
import type { Launch } from './launch.ts';
import { loadSource } from './source.ts';

export interface Compiled {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Its own among those of the device. */
  readonly id: number;
}

export interface Pipelines {
  /** Compiles what has not been compiled yet. Rejects with the compiler's messages. */
  prepare(launches: readonly Launch[]): Promise<void>;
  /** A pipeline that was prepared. */
  get(launch: Launch): Compiled;
}

/** The same kernel with lanes that take in four elements at once. */
export const inFours = (code: string): string =>
  code
    .replace('alias some = f32; const many = 1u;', 'alias some = vec4f; const many = 4u;')
    .replace('alias mask = bool;', 'alias mask = vec4<bool>;');

const computeStage = 4; // GPUShaderStage.COMPUTE, which Node has not as a global

export function makePipelines(device: GPUDevice): Pipelines {
  // Kernels of several variants are often the same file: what counts is the text.
  const byText = new Map<string, Promise<Compiled>>();
  const ready = new WeakMap<Launch, Compiled>();
  let count = 0;

  const prepareOne = async (launch: Launch) => {
    const { kernel } = launch;
    const { $width, $together, $many } = launch.launch;
    const text = await loadSource(kernel.source);
    const code = $many === 4 ? inFours(text) : text;
    const layout = kernel.bindings.map((binding) => binding.access === 'read');
    const key = JSON.stringify([
      kernel.entryPoint,
      layout,
      kernel.uniforms.length > 0,
      $width,
      $together,
      code,
    ]);
    let compiled = byText.get(key);
    if (!compiled) {
      compiled = compile(device, launch, code, count++);
      compiled.catch(() => byText.delete(key));
      byText.set(key, compiled);
    }
    ready.set(launch, await compiled);
  };
  return {
    prepare: async (launches) => {
      const missing = launches.filter((launch) => !ready.has(launch));
      if (missing.length > 0) await Promise.all(missing.map(prepareOne));
    },
    get: (launch) => ready.get(launch)!,
  };
}

async function compile(
  device: GPUDevice,
  { kernel, launch }: Launch,
  code: string,
  id: number,
): Promise<Compiled> {
  const { name, bindings, entryPoint } = kernel;
  const allowed = device.limits.maxStorageBuffersPerShaderStage;
  if (bindings.length > allowed) {
    const limit = `maxStorageBuffersPerShaderStage = ${allowed}`;
    fail('limit', `${name} binds ${bindings.length} buffers, but the device was requested with ${limit}`);
  }
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: name, code });
  const layout = device.createBindGroupLayout({ entries: entriesOf(kernel) });
  const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] });
  const scope = device.popErrorScope();
  const constants = constantsOf(kernel, launch);
  const pending = device.createComputePipelineAsync({
    label: name,
    layout: pipelineLayout,
    compute: { module, entryPoint, constants },
  });
  // Awaited below; a failure of the scope must not leave it unhandled.
  pending.catch(() => {});
  const error = await scope;
  if (error) fail('kernel', `${name} does not compile: ${error.message}`);
  const pipeline = await pending.catch((reason: Error) =>
    fail('kernel', `${name} does not compile: ${reason.message}`),
  );
  return { pipeline, layout, id };
}

function constantsOf(
  { tiles }: GpuKernelDescription,
  { $width, $together }: Numbers,
): Record<string, number> {
  if (!tiles) return {};
  const [width, together] = [$width!, $together!];
  return tiles.shared ? { width, together, team: width * together } : { width, together };
}

function entriesOf({ bindings, uniforms }: GpuKernelDescription): GPUBindGroupLayoutEntry[] {
  const entries = bindings.map(
    ({ access }, binding): GPUBindGroupLayoutEntry => ({
      binding,
      visibility: computeStage,
      buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
    }),
  );
  if (uniforms.length === 0) return entries;
  return [...entries, { binding: entries.length, visibility: computeStage, buffer: { type: 'uniform' } }];
}
