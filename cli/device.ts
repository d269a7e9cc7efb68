/** Opens a WebGPU device in Node: a real GPU where there is one, otherwise a software Vulkan driver from npm. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { brotliDecompress } from 'node:zlib';

/** Which adapter a device is on. */
export interface AdapterDescription {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  /** True where shaders run on the CPU. */
  readonly software: boolean;
}

export interface OpenedDevice {
  readonly device: GPUDevice;
  readonly adapter: AdapterDescription;
  /** One line for people, e.g. `google swiftshader, SwiftShader driver 5.0.0 (software)`. */
  readonly description: string;
}

export interface OpenDeviceOptions {
  /** `software` skips the real GPUs; by default they come first. */
  readonly prefer?: 'hardware' | 'software';
  /** Features to enable where the adapter has them, e.g. `['subgroups', 'shader-f16']`. */
  readonly features?: readonly GPUFeatureName[];
}

/** Limits that kernels may use up to what the adapter offers. */
const raisedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

/**
 * A device with the highest limits of its adapter.
 * Throws an error that says what to install where neither a GPU nor the software driver can be used.
 */
export async function openDevice(options: OpenDeviceOptions = {}): Promise<OpenedDevice> {
  const adapter = await findAdapter(options.prefer ?? 'hardware');
  const requiredLimits: Record<string, number> = {};
  for (const name of raisedLimits) requiredLimits[name] = adapter.limits[name];
  const requiredFeatures = (options.features ?? []).filter((name) => adapter.features.has(name));
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  const { vendor, architecture, description } = adapter.info;
  const software = isSoftware(adapter);
  return {
    device,
    adapter: { vendor, architecture, description, software },
    description: `${vendor} ${architecture}, ${description}${software ? ' (software)' : ''}`,
  };
}

/** Dawn's threads end with the object that `create` returned, also under the devices made from it. */
const kept: GPU[] = [];

async function findAdapter(prefer: 'hardware' | 'software'): Promise<GPUAdapter> {
  const create = await loadDawn();
  const offer = process.platform === 'linux' ? await offerSwiftShader(prefer) : undefined;
  // Adapters come sorted by this preference, those in software last.
  const gpu = create([]);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  offer?.restore();
  if (adapter) {
    kept.push(gpu);
    return adapter;
  }
  throw new Error(`no WebGPU adapter: there is no usable GPU, and ${offer?.problem ?? 'no software driver'}`);
}

/**
 * Lets the Vulkan loader find SwiftShader: beside the real drivers, or alone if software is preferred. Drivers that the
 * user chose through the loader's own variables are left as they are.
 */
async function offerSwiftShader(prefer: 'hardware' | 'software') {
  const chosen = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
  const variable = prefer === 'software' ? 'VK_DRIVER_FILES' : 'VK_ADD_DRIVER_FILES';
  const before = process.env[variable];
  const restore = () => {
    if (before === undefined) delete process.env[variable];
    else process.env[variable] = before;
  };
  try {
    const { directory, environment } = await unpackSwiftShader();
    // Its loader goes before an installed one, which may be missing, or too old to know these variables.
    keepLoaded(join(directory, 'libvulkan.so.1'));
    if (chosen && prefer === 'hardware')
      return { restore, problem: `the chosen driver did not start: ${chosen}` };
    process.env[variable] = environment.VK_ICD_FILENAMES;
    return { restore, problem: 'the software driver did not start' };
  } catch (error) {
    return { restore, problem: reason(error) };
  }
}

function isSoftware(adapter: GPUAdapter): boolean {
  const { architecture, description } = adapter.info;
  return (
    adapter.info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/i.test(`${architecture} ${description}`)
  );
}

type CreateGpu = (options: string[]) => GPU;

/** Dawn's entry point, for a GPU or, with `backend=null`, for validation alone. */
export async function loadDawn(): Promise<CreateGpu> {
  try {
    return (await import('webgpu')).create;
  } catch (error) {
    throw new Error(
      `no WebGPU: npm package 'webgpu' cannot be loaded; npm install webgpu (${reason(error)})`,
    );
  }
}

/**
 * Loads a shared library into this process for good.
 *
 * Dawn opens the Vulkan loader by its bare name, and ld.so reads LD_LIBRARY_PATH only when a process starts. A library
 * that is already loaded under that SONAME is used instead, so no child process is needed. `process.dlopen` closes
 * what is not a Node module, hence RTLD_NODELETE (0x1000), and then throws 'did not self-register'.
 */
function keepLoaded(library: string): void {
  try {
    process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_NOW | 0x1000);
  } catch (error) {
    if (!/self-register/.test(reason(error))) throw error;
  }
}

export interface SwiftShader {
  readonly directory: string;
  /** For child processes that look for Vulkan by themselves. */
  readonly environment: { readonly VK_ICD_FILENAMES: string; readonly LD_LIBRARY_PATH: string };
}

let unpacked: Promise<SwiftShader> | undefined;

/** SwiftShader and a Vulkan loader, unpacked from `@sparticuz/chromium` into the temporary folder, once a version. */
export function unpackSwiftShader(): Promise<SwiftShader> {
  unpacked ??= unpack();
  return unpacked;
}

const driver = 'vk_swiftshader_icd.json';
const files = ['libvulkan.so.1', 'libvk_swiftshader.so', driver];

async function unpack(): Promise<SwiftShader> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `the software driver exists for linux-x64 only, this is ${process.platform}-${process.arch}`,
    );
  }
  const { archive, version, extract } = await findArchive();
  const directory = join(tmpdir(), `normgrad-swiftshader-${version}-${process.getuid?.()}`);
  if (!(await isComplete(directory))) {
    const temporary = await mkdtemp(`${directory}-`);
    try {
      const tar = await decompress(await readFile(archive));
      await pipeline([tar], extract(temporary, { chown: false }));
      await moveInto(temporary, directory);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }
  const inherited = process.env.LD_LIBRARY_PATH;
  const LD_LIBRARY_PATH = inherited ? `${directory}:${inherited}` : directory;
  return { directory, environment: { VK_ICD_FILENAMES: join(directory, driver), LD_LIBRARY_PATH } };
}

const decompress = (data: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) =>
    brotliDecompress(data, (error, result) => (error ? reject(error) : resolve(result))),
  );

async function isComplete(directory: string): Promise<boolean> {
  if (!files.every((file) => existsSync(join(directory, file)))) return false;
  // Code is loaded from here: a folder that another user prepared in a shared temporary folder will not do.
  const { uid } = await stat(directory);
  if (uid !== process.getuid?.()) throw new Error(`${directory} belongs to another user: remove it`);
  return true;
}

/** A rename is atomic, and fails where another process was faster; what a cleaner left incomplete is replaced. */
async function moveInto(temporary: string, directory: string): Promise<void> {
  try {
    await rename(temporary, directory);
  } catch (error) {
    if (await isComplete(directory)) return;
    if (!existsSync(directory)) throw error;
    await rm(directory, { recursive: true, force: true });
    await rename(temporary, directory);
  }
}

interface Archive {
  readonly archive: string;
  readonly version: string;
  readonly extract: (directory: string, options: { chown: boolean }) => Writable;
}

async function findArchive(): Promise<Archive> {
  try {
    const main = createRequire(import.meta.url).resolve('@sparticuz/chromium');
    const root = join(dirname(main), '..', '..');
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    // That package unpacks with tar-fs, which is therefore installed beside or below it.
    const { extract } = createRequire(main)('tar-fs') as { extract: Archive['extract'] };
    return { archive: join(root, 'bin', 'swiftshader.tar.br'), version, extract };
  } catch (error) {
    throw new Error(`the software driver is missing; npm install @sparticuz/chromium (${reason(error)})`);
  }
}

const reason = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
