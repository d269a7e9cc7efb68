/** Runs in Deno: validates the WGSL files on standard input with wgpu and prints what it says as JSON. */
import { compileAll } from './compile.ts';
import type { WgslFile } from './validate.ts';

declare const Deno: { readonly stdin: { readonly readable: ReadableStream<Uint8Array<ArrayBuffer>> } };

const files = (await new Response(Deno.stdin.readable).json()) as WgslFile[];
const adapter = await navigator.gpu.requestAdapter();
if (!adapter) throw new Error('Deno has found no WebGPU adapter');
const requiredLimits: Record<string, number> = {};
for (const name of [
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const) {
  requiredLimits[name] = adapter.limits[name];
}
const wanted: GPUFeatureName[] = ['shader-f16', 'subgroups'];
const requiredFeatures = wanted.filter((name) => adapter.features.has(name));
const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
const messages = await compileAll(device, files);
console.log(JSON.stringify({ adapter: adapter.info.description || adapter.info.vendor, messages }));
