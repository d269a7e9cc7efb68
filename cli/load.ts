/** Loads what the compiler would write, without writing it: generated files as modules in a temporary folder. */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { OpDescription } from '../runtime/index.ts';

export interface Loaded {
  /** The ops by name. */
  readonly ops: ReadonlyMap<string, OpDescription>;
  /** Removes the files, among them WGSL that is read when a kernel is first run. */
  readonly dispose: () => void;
}

const signals = ['SIGINT', 'SIGTERM'] as const;

/** Generated files as a program imports them. They are removed at the end of the process at the latest. */
export async function load(files: ReadonlyMap<string, string>): Promise<Loaded> {
  const { ts } = await import('ts-morph');
  const compilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    rewriteRelativeImportExtensions: true,
  };
  const folder = await mkdtemp(join(tmpdir(), 'normgrad-'));
  // A signal that nobody handles would end the process without 'exit'.
  const interrupt = (): void => process.exit(130);
  const dispose = (): void => {
    process.off('exit', dispose);
    for (const signal of signals) process.off(signal, interrupt);
    rmSync(folder, { recursive: true, force: true });
  };
  process.on('exit', dispose);
  for (const signal of signals) process.on(signal, interrupt);
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  await write('package.json', '{ "type": "module" }\n');
  for (const [path, text] of files) {
    if (/\.(?:wgsl|txt)$/.test(path)) await write(path, text);
    if (!path.endsWith('.ts')) continue;
    const { outputText } = ts.transpileModule(text, { compilerOptions, fileName: path });
    await write(path.replace(/\.ts$/, '.js'), outputText);
  }
  const module = (await import(pathToFileURL(join(folder, 'index.js')).href)) as {
    [name: string]: OpDescription;
  };
  return { ops: new Map(Object.entries(module)), dispose };
}
