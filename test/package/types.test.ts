/** Generated TypeScript compiles, whatever was written in the spec and whatever the project asks for. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../compiler/compile.ts';
import { temporaryFolder } from '../cli/harness.ts';
import { strictness } from './strictness.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const specs = join(root, 'test/specs');
const project = temporaryFolder();

const compilerOptions = {
  ...Object.fromEntries(strictness.map((option) => [option, true])),
  allowUnreachableCode: false,
  allowUnusedLabels: false,
  declaration: true,
  lib: ['es2022'],
  module: 'nodenext',
  noEmit: true,
  paths: { 'normgrad/runtime': [join(root, 'runtime/description.ts')] },
  target: 'es2022',
  typeRoots: [join(root, 'node_modules/@types')],
  types: ['node'],
};

async function generate(spec: string): Promise<void> {
  const text = readFileSync(join(specs, spec), 'utf8');
  const { files, diagnostics } = await compile(text, { file: spec, targets: ['typescript'] });
  assert.equal(diagnostics, []);
  for (const [path, content] of files) {
    const file = join(project, spec.replace('.yaml', ''), path);
    mkdirSync(dirname(file), { recursive: true });
    if (path.endsWith('.ts')) writeFileSync(file, content);
  }
}

test('what is generated from unusual specs type-checks', async () => {
  for (const spec of readdirSync(specs)) await generate(spec);
  writeFileSync(join(project, 'package.json'), '{"type": "module"}');
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
  try {
    execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', project], { encoding: 'utf8' });
  } catch (error) {
    assert.unreachable((error as { stdout: string }).stdout.slice(0, 2000));
  }
});

test.run();
