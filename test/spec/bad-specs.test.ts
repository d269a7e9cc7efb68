/** Every spec in `test/bad-specs` against the mistakes written beside it, and every code of a mistake against both. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { formatDiagnostic } from '../../compiler/diagnostics.ts';
import { codes } from '../../compiler/spec/codes.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';

const folder = new URL('../bad-specs/', import.meta.url);
const names = readdirSync(folder).flatMap((name) => (name.endsWith('.yaml') ? [name.slice(0, -5)] : []));
const seen = new Set<string>();

const test = suite('bad specs');

test('there are fixtures', () => {
  assert.ok(names.length >= 35, `${names.length} fixtures`);
});

for (const name of names) {
  test(name, () => {
    const text = readFileSync(new URL(`${name}.yaml`, folder), 'utf8');
    const start = performance.now();
    const { diagnostics } = parseSpec(text, `${name}.yaml`);
    assert.ok(performance.now() - start < 2000, 'it takes long');
    for (const { code } of diagnostics) seen.add(code);
    const actual = diagnostics.map((d) => `${formatDiagnostic(d, text, `${name}.yaml`)}\n`).join('\n');
    const golden = new URL(`${name}.txt`, folder);
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, actual);
    assert.ok(actual !== '', 'it has mistakes');
    assert.ok(existsSync(golden), `${name}.txt is there`);
    assert.is(actual, readFileSync(golden, 'utf8'));
  });
}

test('every code has a fixture', () => {
  assert.equal(
    Object.keys(codes).filter((code) => !seen.has(code)),
    [],
  );
});

test.run();
