import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nagaMessages, tintMessages } from './validate.ts';

const good = `
@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { if (id.x < 4) { a[id.x] = 1.0; } }`;
const files = [
  { name: 'good', code: good },
  { name: 'syntax', code: 'fn main( {' },
  { name: 'types', code: good.replace('= 1.0', '= 1u') },
  { name: 'pipeline', code: good.replace('64', '100000') },
  { name: 'entry', code: good, entryPoint: 'other' },
];

for (const [compiler, messagesOf] of [
  ['tint', tintMessages],
  ['naga', nagaMessages],
] as const) {
  test(`${compiler} accepts what is right and rejects what is wrong`, async () => {
    const messages = await messagesOf(files);
    const wrong = messages.filter(({ type }) => type === 'error').map(({ file }) => file);
    assert.equal([...new Set(wrong)], ['syntax', 'types', 'pipeline', 'entry']);
    const { line, message } = messages.find(({ file }) => file === 'types')!;
    assert.is(line, 4);
    assert.ok(message.length > 0);
  });
}

test('tint knows f16 and subgroups', async () => {
  const code = `enable f16; enable subgroups;${good.replace('1.0', 'subgroupAdd(f32(1.0h))')}`;
  const messages = await tintMessages([{ name: 'features', code: code.replace('if (id.x < 4) ', '') }]);
  assert.equal(
    messages.filter(({ type }) => type === 'error'),
    [],
  );
});

test.run();
