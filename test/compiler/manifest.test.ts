/** The manifest fits its schema, names only what exists, and says what the kernels do. */
import { readdirSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../compiler/compile.ts';
import { type OpManifest, readManifest, sequencesOf } from './manifest.ts';
import { everyDirection, generating } from './targets.ts';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const schema = JSON.parse(read('../../compiler/emit/manifest.schema.json')) as {
  definitions: { [name: string]: object };
};
const validate = new Ajv({ allErrors: true, strictRequired: false }).compile(schema);
const specs = readdirSync(new URL('../specs/', import.meta.url)).filter((name) => name.endsWith('.yaml'));
const test = suite('manifest');

async function describesWhatExists(manifest: OpManifest, files: ReadonlyMap<string, string>): Promise<void> {
  for (const target of ['wgsl', 'wasm', 'typescript'] as const) {
    const used = new Set<string>();
    for (const { kernels, otherwise } of sequencesOf(manifest, target))
      for (const name of [...kernels, ...otherwise]) used.add(name);
    const kernels = manifest.kernels[target]!;
    assert.equal([...used].sort(), Object.keys(kernels).sort(), 'kernels that are used and described');
    for (const kernel of Object.values(kernels)) {
      const text = files.get(`${manifest.op}/${kernel.file}`)!;
      if (target === 'wasm') await describesModule(manifest, kernel, text);
      else {
        const start = `\n${target === 'wgsl' ? 'fn' : 'export function'} ${kernel.entryPoint}(`;
        assert.ok(text.includes(start), `${kernel.file} has no ${start}`);
      }
      for (const label of kernel.bindings) assert.ok(manifest.bindings[label], `no binding ${label}`);
      for (const name of kernel.uniforms) assert.ok(manifest.uniforms[name], `no uniform ${name}`);
      if (target === 'wgsl') describesBindings(manifest, kernel, text);
    }
  }
}

/** The module has the routines of each phase, and the caller's numbers include each phase's blocks. */
async function describesModule(
  manifest: OpManifest,
  { file, phases, uniforms }: OpManifest['kernels']['wasm'][string],
  text: string,
): Promise<void> {
  const base64 = text.match(/module =\s*'([^']+)'/)?.[1];
  assert.ok(base64, `${file} has no module`);
  const module = new WebAssembly.Module(Buffer.from(base64, 'base64'));
  const exported = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  for (const label of phases!) {
    const { routines, together, blocks } = manifest.phases[label]!;
    assert.ok(!blocks || uniforms.includes(blocks), `${file} has no ${blocks}`);
    for (const name of [...Object.keys(routines ?? {}), together])
      assert.ok(exported.has(name), `${file} does not export ${name}`);
  }
}

/** The declarations of a WGSL file are those that the manifest lists. */
function describesBindings(
  manifest: OpManifest,
  kernel: OpManifest['kernels']['wgsl'][string],
  text: string,
): void {
  // kernels of one file share the variables that are the same; others say where they are bound
  const declarations = kernel.bindings.map((label, i) => {
    const { name, access } = manifest.bindings[label]!;
    const space = `var<storage, ${access === 'read' ? 'read' : 'read_write'}>`;
    return new RegExp(`@binding\\(${i}\\) ${space} ${name}(_at_${i}(_\\d+)?)?:`);
  });
  const count = kernel.bindings.length;
  if (kernel.uniforms.length > 0)
    declarations.push(new RegExp(`@binding\\(${count}\\) var<uniform> numbers(_at_${count})?: Numbers`));
  for (const declaration of declarations) assert.match(text, declaration, kernel.file);
  const members = text.match(/struct Numbers \{([^}]*)\}/)?.[1] ?? '';
  const numbers = [...members.matchAll(/(\w+): (\w+)/g)].map((m) => m.slice(1));
  assert.equal(
    kernel.uniforms.map((name) => [name, manifest.uniforms[name]!.type]),
    numbers,
    kernel.file,
  );
}

for (const file of ['../../derivatives.yaml', ...specs.map((name) => `../specs/${name}`)]) {
  test(file, async () => {
    const text = generating(read(file), everyDirection);
    const { files } = await compile(text, { file });
    const manifests = [...files].filter(([path]) => /(?:manifest|wasm)\.json$/.test(path));
    for (const [path, content] of manifests) {
      const isValid = validate(JSON.parse(content));
      assert.ok(isValid, `${path}: ${JSON.stringify(validate.errors?.slice(0, 3))}`);
    }
    for (const [path] of manifests.filter(([path]) => /\/manifest/.test(path)))
      await describesWhatExists(readManifest(files, path.split('/')[0]!), files);
  });
}

test('the schema describes every property', () => {
  const undescribed: string[] = [];
  const walk = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      if (key === 'properties') {
        for (const [name, property] of Object.entries(
          value as { [name: string]: { [key: string]: unknown } },
        )) {
          if (!property.description && !property.$ref) undescribed.push(`${path}.${name}`);
        }
      }
      walk(value, `${path}.${key}`);
    }
  };
  walk(schema, '');
  assert.equal(undescribed, []);
});

test('the schema refuses what is not a manifest', () => {
  for (const wrong of [{}, { version: 1 }, { generator: 'x', version: 2, ops: {} }, []])
    assert.not(validate(wrong));
});

test.run();
