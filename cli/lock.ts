/** One build at a time writes to a folder. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, reasonOf } from './io.ts';

/** How long to wait for another build, and how long until the next look, in milliseconds. */
const patience = 10_000;
const pause = 20;

/** Does something while no other build writes to the folder, which is made if it is not there. Never pauses. */
export function alone<T>(folder: string, work: () => T): T {
  const file = join(folder, '.normgrad.lock');
  const end = Date.now() + patience;
  while (!take(folder, file)) {
    const owner = ownerOf(file);
    if (owner !== undefined && !isRunning(owner)) rmSync(file, { force: true });
    else if (Date.now() > end)
      throw new Failure(`another build is writing to ${folder}: end it, or remove ${file}`);
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause);
  }
  try {
    return work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** Whether the file was not there, and now is with the number of this process. */
function take(folder: string, file: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new Failure(`cannot write to ${folder}: ${reasonOf(error)}; it was left as it was`);
  }
}

/** The process that made the file; undefined where it has only just done so, or removed it since. */
function ownerOf(file: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(file, 'utf8'), 10) || undefined;
  } catch {
    return undefined;
  }
}

/** One that was killed leaves its number, which this one may have been given. */
function isRunning(owner: number): boolean {
  try {
    return owner !== process.pid && process.kill(owner, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
