/** Compiles kernels into compute pipelines, each once a device. */
import { fail } from './error.ts';
import type { Launch } from './launch.ts';
import { rememberSuccess } from './remember.ts';
import { loadSource } from './source.ts';

type Compiled = readonly [GPUComputePipeline, GPUBindGroupLayout];

export interface Pipelines {
  /**
   * Compiles what has not been compiled yet. Rejects with `kernel` and the compiler's messages, or with `limit` where a
   * kernel binds more buffers than the device allows.
   */
  prepare(launches: readonly Launch[]): Promise<unknown>;
  /** A pipeline that was prepared, with the layout of its bind group. */
  get(launch: Launch): Compiled;
}

// What may be changed in a kernel is marked in its text, as the manifest's schema says.

/** The same kernel with lanes that take in four elements at once. */
export const inFours = (code: string): string =>
  `alias some = vec4f; const many = 4u; alias mask = vec4<bool>;\n${code.replace(/.*\/\/one\n/g, '')}`;

/** The same kernel with four turns of the loops over elements in one, so that loads need not wait for each other. */
export const unrolled = (code: string): string =>
  code.replace(
    /^( *)for \((var .*?; )(.*; )(.*)\) \{ \/\/turns(\n[\s\S]*?\n\1\})/gm,
    (_, indent, start, test, next, body) =>
      `${indent}${start}for (; 3u * width + ${test}) {${` {${body} ${next};`.repeat(4)}}
${indent}for (; ${test}${next}) {${body}`,
  );

/** The same kernel with lanes that merge by what subgroups offer, as `text` says. */
export const withSubgroups = (code: string, text: string): string =>
  text + code.split('//portable')[0]!.replace(/\/\/subgroups: /g, '');

/** Turns for which unrolling is worth the longer compilation. */
const longLoop = 32;

/** Pipelines of a device. What failed to compile is tried again when it is next asked for. */
export function makePipelines(device: GPUDevice): Pipelines {
  // Kernels of several variants are often the same file: what counts is the text.
  const byText = new Map<string, Promise<Compiled>>();
  const ready = new WeakMap<Launch, Compiled>();

  const prepareOne = async (launch: Launch) => {
    const { name, source, subgroups, tiles, entryPoint = name, constants, numbers, bindings } = launch;
    const allowed = device.limits.maxStorageBuffersPerShaderStage;
    const needed = bindings.length;
    const limit = `maxStorageBuffersPerShaderStage = ${allowed}`;
    if (needed > allowed)
      fail('limit', `${name} binds ${needed} buffers, but the device was requested with ${limit}`);
    let code = await loadSource(source);
    if (numbers.$many === 4) code = inFours(code);
    if (numbers.$turns! >= longLoop) code = unrolled(code);
    if (subgroups && tiles.shared && device.features.has('subgroups'))
      code = withSubgroups(code, await loadSource(subgroups));
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
