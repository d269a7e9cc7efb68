/** Every entry that is shipped, in the directions it generates, against finite differences. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { variantKey, variantsOf } from '../../compiler/spec/variants.ts';
import { check } from './check.ts';
import { compileSpec, wgsl } from './targets.ts';

const text = readFileSync(new URL('../../derivatives.yaml', import.meta.url), 'utf8');
const compiled = await compileSpec(text);
const gpu = await wgsl();
const test = suite('gradients');
for (const entry of compiled.entries) {
  for (const [k, variant] of variantsOf(entry).entries()) {
    test(`${entry.name} (${variantKey(entry, variant) || 'no options'})`, async () => {
      const problems = await check(compiled, entry, variant, gpu, k);
      assert.ok(problems.length === 0, problems.slice(0, 8).join('\n'));
    });
  }
}
test.run();
