import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { commands } from '../../cli/commands.ts';
import { normgrad, temporaryFolder } from './harness.ts';

for (const [argv, message] of [
  [['biuld'], "unknown command 'biuld'; did you mean 'build'?"],
  [['--hlep'], "unknown option '--hlep'"],
  [['build', '--onyl', 'x'], "did you mean '--only'?"],
  [['build', '--out'], '--out needs a value: --out DIR'],
  [['build', '--out', '--check'], '--out needs a value'],
  [['build', '--check=yes'], '--check takes no value'],
  [['build', '--target', 'wgls'], "did you mean 'wgsl'?"],
  [['build', '--target', 'interpret'], 'unknown target'],
  [['build', 'a.yaml', 'b.yaml'], "takes one argument, not also 'b.yaml'"],
  [['build', 'nowhere.yaml'], "there is no file 'nowhere.yaml'"],
  [['build', '--only', 'batch_nrom'], "did you mean 'batch_norm'?"],
  [['run'], 'run needs REQUEST'],
  [['run', '-', '--target', 'wgsl', '--dtype', 'f64'], 'wgsl has no f64'],
  [['verify', '--golden', 'nowhere.json'], 'cannot read nowhere.json'],
] as const) {
  test(`normgrad ${argv.join(' ')}`, async () => {
    const { status, out, err } = await normgrad(argv);
    assert.is(status, 2);
    assert.is(out, '');
    assert.ok(err.includes(message), err);
    assert.not.match(err, /\n\s+at /);
  });
}

for (const [argv, expected] of [
  [
    ['build', '--onyl', 'x'],
    { code: 'usage', message: "build has no option '--onyl'; did you mean '--only'?" },
  ],
  [
    ['build', '--only', 'nope'],
    { code: 'usage', message: /^there is no op 'nope'; the spec has 'batch_norm', / },
  ],
  [
    ['run', '-'],
    { file: 'standard input', line: 1, column: 2, code: 'failed', message: /^this is not JSON/ },
  ],
  [['run', '-', '--target', 'wgsl', '--dtype', 'f64'], { code: 'usage', message: /^wgsl has no f64/ }],
] as const) {
  test(`normgrad ${argv.join(' ')} --json`, async () => {
    const { status, out, err } = await normgrad([...argv, '--json'], { input: '{' });
    assert.is(status, expected.code === 'usage' ? 2 : 1);
    assert.is(err, '');
    const { diagnostics } = JSON.parse(out);
    assert.is(diagnostics.length, 1);
    const { message, ...rest } = expected;
    assert.match(diagnostics[0].message, message);
    assert.equal(diagnostics[0], { ...rest, message: diagnostics[0].message });
  });
}

test('every command has help with every option', async () => {
  for (const { name, options } of commands) {
    const { status, out } = await normgrad([name, '--help']);
    assert.is(status, 0);
    for (const option of options) assert.ok(out.includes(`--${option.name}`), option.name);
    for (const line of out.split('\n')) assert.ok(line.length <= 110, line);
  }
  assert.is((await normgrad(['--help'])).status, 0);
  assert.is((await normgrad([])).status, 2);
});

test('the program itself: exit status, streams, no stack trace', () => {
  const bin = fileURLToPath(new URL('../../bin/normgrad.js', import.meta.url));
  const broken = join(temporaryFolder(), 'broken.yaml');
  writeFileSync(broken, '- name: f(Tensor x[n]) -> Tensor y[n]\n  forward:\n    y: x + z\n');
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, 'build', broken], {
    encoding: 'utf8',
  });
  assert.is(status, 1);
  assert.is(stdout, '');
  assert.match(stderr, /broken\.yaml:3:12: error\[unknown-name\]/);
  assert.match(stderr, /Nothing was written/);
});

test.run();
