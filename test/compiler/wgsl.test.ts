/** Two independent compilers accept every WGSL file without a word. */
import { readdirSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile } from '../../compiler/compile.ts';
import { inFours, unrolled, withSubgroups } from '../../runtime/pipeline.ts';
import { nagaMessages, tintMessages, type WgslFile } from '../devices/validate.ts';
import type { OpManifest } from './manifest.ts';
import { everyDirection, generating } from './targets.ts';

const folder = new URL('../specs/', import.meta.url);
const specs = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
const shipped = 'derivatives.yaml';
const sources = [
  [shipped, new URL('../../derivatives.yaml', import.meta.url)],
  ...specs.map((name) => [name, new URL(name, folder)] as const),
] as const;

const test = suite('wgsl');
for (const [file, url] of sources) {
  test(file, async () => {
    const source = readFileSync(url, 'utf8');
    const text = file === shipped ? source : generating(source, everyDirection);
    const { files, diagnostics } = await compile(text, { file, targets: ['wgsl'] });
    assert.equal(diagnostics, []);
    const manifests = [...files].filter(([path]) => path.endsWith('/manifest.json'));
    const wgsl = manifests.flatMap(([path, manifest]) => {
      const folder = path.replace('manifest.json', '');
      const { kernels } = JSON.parse(manifest) as OpManifest;
      return Object.entries(kernels.wgsl).flatMap(([entryPoint, { file }]): WgslFile[] => {
        const name = folder + file;
        const code = files.get(name)!;
        const wide = inFours(code);
        const merging = code.includes('fn joined') ? [code, wide] : [];
        return [
          { name, code, entryPoint },
          { name: `${name}, unrolled and in fours`, code: unrolled(wide), entryPoint },
          ...merging.map((one) => {
            const merged = withSubgroups(one, files.get('subgroups.txt')!);
            return { name: `${name}, with subgroups`, code: merged, entryPoint };
          }),
        ];
      });
    });
    assert.ok(wgsl.length > 0, 'no WGSL was emitted');
    for (const messagesOf of [tintMessages, nagaMessages]) {
      // naga also compiles for the software driver, which takes long, and is not asked about subgroups
      const some =
        messagesOf === nagaMessages ? wgsl.filter(({ name }) => !/jvp|double|subgroups/.test(name)) : wgsl;
      const messages = (await messagesOf(some)).filter((m) => m.type !== 'info');
      const texts = messages.map((m) => `${m.file}:${m.line}:${m.column} ${m.type}: ${m.message}`);
      assert.ok(texts.length === 0, `${messagesOf.name}\n${texts.slice(0, 10).join('\n')}`);
    }
  });
}
test.run();
