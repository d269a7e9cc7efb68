/** What a user of one op ships: bundled as they would, minified and compressed. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { normgrad, temporaryFolder } from '../cli/harness.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const generated = temporaryFolder();
await normgrad(['build', `${root}derivatives.yaml`, '--target', 'typescript', '--out', generated]);

/** Bytes of a program that consists of these statements, with all that they import. */
async function shipped(program: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: root },
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
  });
  return gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
}

const kilobyte = 1000;
const ofRuntime = 8 * kilobyte;
/** With both devices, which few programs use. */
const ofBoth = 10 * kilobyte;
const ofKernels = 5 * kilobyte;
const ofOp = 3 * kilobyte;
/** Twelve variants in two layouts, each with forward mode and double backward: some 30 functions to describe. */
const larger: { readonly [op: string]: number } = { batch_norm: 6.6 * kilobyte };

for (const device of ['cpu', 'webgpu']) {
  test(`the runtime with ${device}`, async () => {
    const bytes = await shipped(`export { ${device} } from './runtime/index.ts';`);
    console.log(`runtime with ${device}: ${bytes} bytes`);
    assert.ok(bytes < ofRuntime, `${bytes} bytes`);
  });
}

test('the runtime with both devices', async () => {
  const bytes = await shipped("export { cpu, webgpu } from './runtime/index.ts';");
  console.log(`runtime: ${bytes} bytes`);
  assert.ok(bytes < ofBoth, `${bytes} bytes`);
});

const ops = readdirSync(generated, { withFileTypes: true }).filter((entry) => entry.isDirectory());
for (const { name } of ops) {
  const folder = `${generated}/${name}`;
  test(`the kernels of ${name}`, async () => {
    const files = readdirSync(folder).filter((file) => file.endsWith('.ts') && file !== 'index.ts');
    const names = files.map((file) =>
      [...readFileSync(`${folder}/${file}`, 'utf8').matchAll(/^export function (\w+)/gm)].map(
        ([, name]) => name,
      ),
    );
    const imports = files.map((file, i) => `import { ${names[i]} } from '${folder}/${file}';`);
    const bytes = await shipped(`${imports.join('\n')}\nexport const all = [${names.flat()}];`);
    console.log(`kernels of ${name}: ${bytes} bytes`);
    assert.ok(bytes < ofKernels, `${bytes} bytes`);
  });
  test(`all of ${name}: its description and functions`, async () => {
    const bytes = await shipped(`export { ${name} } from '${folder}/index.ts';`);
    console.log(`${name}: ${bytes} bytes`);
    assert.ok(bytes < (larger[name] ?? ofOp), `${bytes} bytes`);
  });
}

test('an op imported from the index of all brings no other', async () => {
  const [direct, indirect] = await Promise.all([
    shipped(`export { rms_norm } from '${generated}/rms_norm/index.ts';`),
    shipped(`export { rms_norm } from '${generated}/index.ts';`),
  ]);
  assert.ok(indirect < direct + 0.1 * kilobyte, `${indirect} bytes instead of ${direct}`);
});

test.run();
