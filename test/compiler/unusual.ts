/** Entries unlike those that are shipped, in every variant, direction, layout and target. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseSpec } from '../../compiler/spec/parse.ts';
import { variantKey, variantsOf } from '../../compiler/spec/variants.ts';
import { check } from './check.ts';
import { compileSpec, everyDirection, generating, wgsl } from './targets.ts';

const gpu = await wgsl();

/** Tests every entry of a spec in `test/specs`. */
export function testEntries(file: string): void {
  const text = generating(readFileSync(new URL(`../specs/${file}`, import.meta.url), 'utf8'), everyDirection);
  const test = suite(file);
  test('has no mistakes', () => {
    assert.equal(parseSpec(text, file).diagnostics, []);
  });
  for (const { name } of parseSpec(text, file).spec.entries) {
    test(name, async () => {
      const compiled = await compileSpec(text, { file, only: name });
      const entry = compiled.entries[0]!;
      for (const [k, variant] of variantsOf(entry).entries()) {
        const problems = await check(compiled, entry, variant, gpu, k);
        assert.ok(problems.length === 0, [variantKey(entry, variant), ...problems.slice(0, 6)].join('\n'));
      }
      compiled.dispose();
    });
  }
  test.run();
}
