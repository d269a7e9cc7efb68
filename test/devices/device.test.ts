/** Each case is a process of its own, since what matters is how a process that used a device begins and ends. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const module = new URL('../../cli/device.ts', import.meta.url).href;

/** Runs a program that has opened a device and says so, under further environment variables. */
async function program(body: string, environment: Record<string, string> = {}) {
  const source = `
    const { openDevice } = await import(${JSON.stringify(module)});
    const { device, adapter, description } = await openDevice();
    console.log(JSON.stringify({ adapter, description }));
    ${body}`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', source], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, ...environment },
  });
  const status = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await status, output, errors };
}

test('the adapter is reported, with nothing on standard error', async () => {
  const { status, output, errors } = await program('');
  assert.is(errors, '');
  assert.is(status, 0);
  const { adapter, description } = JSON.parse(output) as {
    adapter: Record<string, unknown>;
    description: string;
  };
  assert.type(adapter.software, 'boolean');
  assert.ok(description.includes(String(adapter.description)));
  console.log(description);
});

test('processes that start together', async () => {
  const results = await Promise.all([1, 2, 3].map(() => program('')));
  for (const { status, errors } of results) assert.is(status, 0, errors);
});

const busy = 'const b = device.createBuffer({ size: 16, usage: 9 }); const mapped = b.mapAsync(1);';
const pipeline = `device.createComputePipelineAsync({
  layout: 'auto', compute: { module: device.createShaderModule({ code: '@compute @workgroup_size(1) fn f() {}' }) } })`;

for (const [name, body, expected] of [
  ['ends by itself with work done', `${busy} await mapped; await ${pipeline};`, 0],
  ['sets the exit code', `${busy} await mapped; process.exitCode = 4;`, 4],
  [
    'exits with work under way',
    `${busy} mapped.catch(() => {}); ${pipeline}.catch(() => {}); process.exit(3);`,
    3,
  ],
  ['throws', `${busy} await mapped; throw new Error('thrown');`, 1],
  ['destroys the device', 'device.destroy(); await device.lost;', 0],
] as const) {
  test(`a program that ${name} has exit status ${expected}`, async () => {
    const { status, errors } = await program(body);
    assert.is(status, expected, errors);
  });
}

test('the device outlives a garbage collection', async () => {
  const { status, errors } = await program(`
    (await import('node:v8')).setFlagsFromString('--expose-gc');
    const collect = (await import('node:vm')).runInNewContext('gc');
    for (let i = 0; i < 5; i++) { collect(); await ${pipeline}; }`);
  assert.is(status, 0, errors);
});

test('a chosen driver that does not start is an error that names it', async () => {
  const { status, errors } = await program('', { VK_DRIVER_FILES: '/nowhere/driver.json' });
  if (process.platform !== 'linux') return;
  assert.is(status, 1);
  assert.match(errors, 'the chosen driver did not start: /nowhere/driver.json');
});

test.run();
