/** The libraries to compare with, in a folder of their own: nothing else of the project needs them. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const folder = new URL('./', import.meta.url);
const requireHere = createRequire(import.meta.url);

/** Installs what the lock file says, where nothing is installed yet. Scripts are skipped: one would download CUDA. */
export function installPeers(): void {
  if (existsSync(new URL('node_modules', folder))) return;
  console.error('installing the libraries to compare with into bench/node_modules (600 MB, once)');
  const command = ['ci', '--prefix', fileURLToPath(folder), '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status } = spawnSync('npm', command, {
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) console.error('npm failed: the benchmark goes on without them');
}

/**
 * A package of bench/package.json, by `require` or, for packages that are modules only, by `import`. The type is the
 * part of its interface that is used here, for the sources must pass the type checker without it.
 */
export const requirePeer = <T>(name: string): T => requireHere(name) as T;
export const importPeer = async <T>(name: string): Promise<T> => (await import(name)) as T;

export function versionOf(name: string): string {
  const file = new URL(`node_modules/${name}/package.json`, folder);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
