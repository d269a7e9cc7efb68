/** Bundles the command line of a clone, which has sources and no built files: much faster than loading file by file. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const entry = `${root}.build/cli/main.js`;
/** What the bundle was made of, by path: the times and sizes of its inputs and outputs. */
const record = `${root}.build/bundled.json`;

/** The URL of the bundled `cli/main.ts`; it lies as deep as the built files do. */
export async function bundleSources() {
  if (!isCurrent()) await bundle();
  return pathToFileURL(entry).href;
}

function isCurrent() {
  try {
    const files = Object.entries(JSON.parse(readFileSync(record, 'utf8')));
    return files.every(([path, state]) => stateOf(path) === state);
  } catch {
    return false;
  }
}

async function bundle() {
  const started = Date.now();
  const { build } = await import('esbuild');
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['cli/main.ts', 'cli/tools-worker.ts'],
    outbase: '.',
    outdir: '.build',
    chunkNames: 'cli/[name]-[hash]',
    // for the CommonJS packages among what is bundled
    banner: {
      js: "import { createRequire as toRequire } from 'node:module'; const require = toRequire(import.meta.url);",
    },
    bundle: true,
    splitting: true,
    alias: { 'mathjs/lib/browser/math.js': join(root, 'bin/mathjs-parser.js') },
    external: ['@sparticuz/chromium', 'binaryen', 'ts-morph', 'webgpu'],
    platform: 'node',
    format: 'esm',
    target: 'node20',
    write: false,
    metafile: true,
  });
  for (const { path, contents } of outputFiles) replace(path, contents);
  forget(`${root}.build/cli`, new Set(outputFiles.map(({ path }) => path)));
  const inputs = ['bin/sources.js', ...Object.keys(metafile.inputs)];
  // What was saved meanwhile may have been read before: then the next start bundles again.
  if (inputs.some((path) => statSync(join(root, path)).mtimeMs >= started)) return;
  const paths = [...inputs, ...Object.keys(metafile.outputs)];
  replace(
    record,
    Buffer.from(JSON.stringify(Object.fromEntries(paths.map((path) => [path, stateOf(path)])))),
  );
}

function stateOf(path) {
  const { mtimeMs, ctimeMs, size } = statSync(join(root, path));
  return `${mtimeMs} ${ctimeMs} ${size}`;
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
