/** Who writes to a folder, where several want to at the same time. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { alone, take, takeOver } from '../../cli/lock.ts';
import { temporaryFolder } from './harness.ts';

const stale = `${spawnSync(process.execPath, ['-e', '']).pid}-1`;
const running = `${process.ppid}-1`;

/** A folder with a lock in it that has these owners. */
function locked(...owners: readonly string[]): { folder: string; lock: string } {
  const folder = temporaryFolder();
  const lock = join(folder, '.normgrad.lock');
  mkdirSync(lock);
  for (const owner of owners) writeFileSync(join(lock, owner), '');
  return { folder, lock };
}

test('of several that found the same lock of a killed build, one takes it over', () => {
  const { lock } = locked(stale);
  assert.equal(
    ['1-a', '2-b', '3-c'].map((me) => takeOver(lock, stale, me)),
    [true, false, false],
  );
  assert.equal(readdirSync(lock), ['1-a']);
});

test('nobody takes the lock of a build that is running', () => {
  const { folder, lock } = locked(running);
  assert.not.ok(take(lock, '1-a'));
  assert.equal(readdirSync(lock), [running]);
  assert.equal(readdirSync(folder), ['.normgrad.lock']);
});

test('what is left of a lock, or of one by a process of the same number, is no obstacle', () => {
  for (const owners of [[], [`${process.pid}-1`]]) {
    const { folder } = locked(...owners);
    assert.is(
      alone(folder, () => 1),
      1,
    );
    assert.equal(readdirSync(folder), []);
  }
});

test('what fails gives the lock back', () => {
  const folder = temporaryFolder();
  const fail = (): never => {
    throw new Error('failed');
  };
  assert.throws(() => alone(folder, fail), /failed/);
  assert.equal(readdirSync(folder), []);
});

test('processes that start together are never in the folder together', async () => {
  const { folder } = locked(stale);
  const module = fileURLToPath(new URL('../../cli/lock.ts', import.meta.url));
  const program = `
    import { mkdirSync, rmdirSync } from 'node:fs';
    import { alone } from ${JSON.stringify(module)};
    process.stdin.once('data', () => {
      for (let i = 0; i < 20; i++)
        alone(${JSON.stringify(folder)}, () => {
          mkdirSync(${JSON.stringify(join(folder, 'inside'))});
          rmdirSync(${JSON.stringify(join(folder, 'inside'))});
        });
      process.exit();
    });
    console.log('ready');`;
  const options = ['--import', 'tsx', '--input-type=module', '-e', program];
  const others = Array.from({ length: 4 }, () =>
    spawn(process.execPath, options, { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  await Promise.all(others.map(({ stdout }) => once(stdout, 'data')));
  for (const { stdin } of others) stdin.write('go');
  const ends = await Promise.all(others.map((other) => once(other, 'exit')));
  assert.equal(
    ends.map(([status]) => status),
    [0, 0, 0, 0],
  );
  assert.equal(readdirSync(folder), []);
});

test.run();
