/** Bundles the command line of a clone, which has sources and no built files: much faster than loading file by file. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The URL of the bundled `cli/main.ts`; it lies as deep as the built files do. */
export async function bundleSources() {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['cli/main.ts'],
    outbase: '.',
    outdir: '.build',
    chunkNames: 'cli/[name]-[hash]',
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    write: false,
  });
  for (const { path, contents } of outputFiles) replace(path, contents);
  forget(`${root}.build/cli`, new Set(outputFiles.map(({ path }) => path)));
  return pathToFileURL(`${root}.build/cli/main.js`).href;
}

/** Writes a file that differs, at once: other processes may be reading it. */
function replace(path, contents) {
  if (read(path)?.equals(contents)) return;
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, contents);
  renameSync(temporary, path);
}

function read(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** Removes what earlier sources were bundled to, but nothing that a process may still be starting from. */
function forget(folder, current) {
  const hour = 3_600_000;
  for (const path of readdirSync(folder).map((name) => join(folder, name))) {
    const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (!current.has(path) && Date.now() - written > hour) rmSync(path, { force: true });
  }
}
