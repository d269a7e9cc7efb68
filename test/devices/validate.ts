/** Validates WGSL with two independent compilers: Tint, in Dawn, and naga, in Deno's wgpu. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { loadDawn, unpackSwiftShader } from '../../cli/device.ts';
import { compileAll } from './compile.ts';

export interface WgslFile {
  /** As it appears in messages. */
  readonly name: string;
  readonly code: string;
  /** May be left out where there is one alone. */
  readonly entryPoint?: string;
}

export interface WgslMessage {
  readonly file: string;
  readonly type: 'error' | 'warning' | 'info';
  /** From 1; 0 where the compiler names no place. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

let nullDevice: Promise<GPUDevice> | undefined;

/** What Tint says about the files, f16 and subgroups enabled. Needs no driver: nothing is run. */
export async function tintMessages(files: readonly WgslFile[]): Promise<WgslMessage[]> {
  nullDevice ??= openNullDevice();
  return compileAll(await nullDevice, files);
}

/** Dawn's threads end with the object that `create` returned. */
const kept: GPU[] = [];

async function openNullDevice(): Promise<GPUDevice> {
  const gpu = (await loadDawn())(['backend=null']);
  kept.push(gpu);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('Dawn has no null backend');
  const wanted: GPUFeatureName[] = ['shader-f16', 'subgroups'];
  return adapter.requestDevice({ requiredFeatures: wanted.filter((name) => adapter.features.has(name)) });
}

/**
 * What naga says about the files, in one Deno process on the software driver. Rejects where Deno cannot be started or
 * finds no adapter.
 */
export async function nagaMessages(files: readonly WgslFile[]): Promise<WgslMessage[]> {
  const swiftshader = process.platform === 'linux' ? (await unpackSwiftShader()).environment : {};
  const script = fileURLToPath(new URL('./naga.ts', import.meta.url));
  const flags = ['--unstable-webgpu', '--no-remote', '--no-npm', '--no-config', '--no-lock', '--no-check'];
  const child = spawn(findDeno(), ['run', ...flags, '--no-prompt', script], {
    env: {
      ...process.env,
      ...swiftshader,
      DENO_DIR: join(tmpdir(), 'normgrad-deno'),
      DENO_NO_UPDATE_CHECK: '1',
      NO_COLOR: '1',
    },
  });
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  // A child that ends early breaks the pipe; its exit status is what counts.
  child.stdin.on('error', () => {}).end(JSON.stringify(files));
  const all = Promise.all([text(child.stdout), text(child.stderr), ended]);
  const [output, errors, status] = await Promise.race([all, failed]);
  if (status !== 0) throw new Error(`Deno ended with status ${status}: ${errors}`);
  return (JSON.parse(output) as { messages: WgslMessage[] }).messages;
}

/** The package `deno` copies its binary when it is installed with scripts; the platform's package always has it. */
export function findDeno(): string {
  const main = createRequire(import.meta.url).resolve('deno/package.json');
  const target = `${process.platform}-${process.arch}${process.platform === 'linux' ? '-glibc' : ''}`;
  const binary = process.platform === 'win32' ? 'deno.exe' : 'deno';
  const found = join(dirname(createRequire(main).resolve(`@deno/${target}/package.json`)), binary);
  if (!existsSync(found)) throw new Error(`no Deno: ${found} is missing; npm ci`);
  return found;
}
