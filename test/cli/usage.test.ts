import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { commands } from '../../cli/commands.ts';
import { decode } from '../../cli/text.ts';
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
  [['verify', '--golden', 'nowhere.json'], "there is no file 'nowhere.json'"],
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

test('a spec that is not UTF-8 is a mistake with a place', async () => {
  const file = join(temporaryFolder(), 'latin.yaml');
  writeFileSync(file, Buffer.from('# \xE9 is fine\n# caf\xE9\n', 'latin1'));
  for (const argv of [
    ['build', file],
    ['verify', file],
    ['explain', 'f', '--spec', file],
  ]) {
    const { status, out, err } = await normgrad(argv);
    assert.is(status, 1);
    assert.is(out, '');
    assert.match(err, /latin\.yaml:1:3: error\[encoding\]: this is not text in UTF-8\n\n1 \| # . is fine\n/);
    const { diagnostics } = JSON.parse((await normgrad([...argv, '--json'])).out);
    assert.equal(diagnostics, [
      { file, line: 1, column: 3, code: 'encoding', message: 'this is not text in UTF-8' },
    ]);
  }
});

test('decoding tells the first mistake from what looks like one', () => {
  const bytes = (text: string, ...more: number[]) =>
    new Uint8Array([...new TextEncoder().encode(text), ...more]);
  assert.equal(decode(bytes('\uFEFFé\uFFFD')), { text: '\uFEFFé\uFFFD' });
  for (const more of [[0xff], [0xef], [0xef, 0xbf], [0xef, 0xbf, 0x41], [0xe9, 0x0a], [0xed, 0xa0, 0x80]])
    assert.is(decode(bytes('é\uFFFD\n', ...more)).mistake, 3, `${more}`);
});

test('where there is no spec, a command says how to name one, after what else it was given', async () => {
  const bin = fileURLToPath(new URL('../../bin/normgrad.js', import.meta.url));
  const cwd = temporaryFolder();
  const err = (...argv: string[]) =>
    spawnSync(process.execPath, [bin, ...argv], { cwd, encoding: 'utf8' }).stderr;
  assert.match(err('run', 'nope.json'), "there is no file 'nope.json'");
  assert.match(
    err('verify'),
    "no spec 'derivatives.yaml' in this folder; name another: normgrad verify SPEC",
  );
  assert.match(err('explain', 'f'), 'name another: normgrad explain OP --spec SPEC');
});

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

for (const argv of [['--help'], ['explain', 'rms_norm'], ['build', '--check', '--json']]) {
  test(`normgrad ${argv.join(' ')} where its output cannot be written`, () => {
    if (!existsSync('/dev/full')) return;
    const bin = fileURLToPath(new URL('../../bin/normgrad.js', import.meta.url));
    const full = openSync('/dev/full', 'w');
    const stdio = ['ignore', full, 'pipe'] as const;
    const { status, stderr } = spawnSync(process.execPath, [bin, ...argv], { stdio: [...stdio] });
    closeSync(full);
    assert.is(status, 1);
    assert.match(
      String(stderr),
      /^(?:.* is up to date\n)?normgrad: cannot write to standard output: ENOSPC.*\n$/,
    );
  });
}

test.run();
