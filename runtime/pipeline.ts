/** Compiles kernels into compute pipelines, each once a device. */
import { fail } from './error.ts';
import type { Launch } from './launch.ts';
import { rememberSuccess } from './remember.ts';
import { loadSource } from './source.ts';

type Compiled = readonly [GPUComputePipeline, GPUBindGroupLayout];

export interface Pipelines {
  /** Compiles what has not been compiled yet. Rejects with the compiler's messages. */
  prepare(launches: readonly Launch[]): Promise<unknown>;
  /** A pipeline that was prepared, with the layout of its bind group. */
  get(launch: Launch): Compiled;
}

/** The same kernel with lanes that take in four elements at once. */
export const inFours = (code: string): string =>
  code
    .replace('some = f32; const many = 1u', 'some = vec4f; const many = 4u')
    .replace('mask = bool', 'mask = vec4<bool>');

/** The same kernel with four turns of the loops over elements in one, so that loads need not wait for each other. */
export const unrolled = (code: string): string =>
  code.replace(
    /^( *)for \(var (\w+) = (.*); \2 < (.*); \2 \+= width\) (\{\n[\s\S]*?\n\1\})/gm,
    (_, indent, i, from, end, body) =>
      `${indent}var ${i} = ${from};
${indent}for (; ${i} + 3u * width < ${end}; ${i} += width) {${`${body} ${i} += width; `.repeat(3)}${body}}
${indent}for (; ${i} < ${end}; ${i} += width) ${body}`,
  );

/** Turns for which unrolling is worth the longer compilation. */
const longLoop = 32;

export function makePipelines(device: GPUDevice): Pipelines {
  // Kernels of several variants are often the same file: what counts is the text.
  const byText = new Map<string, Promise<Compiled>>();
  const ready = new WeakMap<Launch, Compiled>();

  const prepareOne = async (launch: Launch) => {
    const { name, source, entryPoint = name, constants, numbers, bindings } = launch;
    const allowed = device.limits.maxStorageBuffersPerShaderStage;
    if (bindings.length > allowed) {
      const limit = `maxStorageBuffersPerShaderStage = ${allowed}`;
      fail('limit', `${name} binds ${bindings.length} buffers, but the device was requested with ${limit}`);
    }
    const text = await loadSource(source);
    const some = numbers.$many === 4 ? inFours(text) : text;
    const code = numbers.$turns! >= longLoop ? unrolled(some) : some;
    const key = JSON.stringify([entryPoint, constants, code]);
    ready.set(launch, await rememberSuccess(byText, key, () => compile(device, launch, code)));
  };
  return {
    prepare: (launches) => Promise.all(launches.filter((launch) => !ready.has(launch)).map(prepareOne)),
    get: (launch) => ready.get(launch)!,
  };
}

async function compile(
  device: GPUDevice,
  { name, entryPoint = name, constants }: Launch,
  code: string,
): Promise<Compiled> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: name, code });
  const scope = device.popErrorScope();
  const pending = device.createComputePipelineAsync({
    label: name,
    layout: 'auto',
    compute: { module, entryPoint, constants },
  });
  // Awaited below; a failure of the scope must not leave it unhandled.
  pending.catch(() => {});
  const refuse = ({ message }: { message: string }) => fail('kernel', `${name} does not compile: ${message}`);
  const error = await scope;
  if (error) refuse(error);
  const pipeline = await pending.catch(refuse);
  return [pipeline, pipeline.getBindGroupLayout(0)];
}
