/**
 * One build at a time writes to a folder. Who does has a folder `.normgrad.lock` in it, with one file, named after the
 * process. All of it appears at once, since it is made beside its place and renamed; and what a killed process left is
 * taken over by renaming its file, which only one of several that try at the same time can.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolders, removeFolders } from './folders.ts';
import { Failure, reasonOf } from './io.ts';

export const lockName = '.normgrad.lock';

/** How long to wait for another build, and how long until the next look, in milliseconds. */
const patience = 10_000;
const pause = 20;

/** Does something while no other build writes to the folder, which is made if it is not there. Never pauses. */
export function alone<T>(folder: string, work: () => T): T {
  const lock = join(folder, lockName);
  const me = `${process.pid}-${randomUUID()}`;
  const made = enter(folder, lock, me);
  try {
    return work();
  } finally {
    attempt(() => unlinkSync(join(lock, me)));
    // unless somebody has it already
    attempt(() => rmdirSync(lock));
    // where nothing came of the work
    removeFolders(made);
  }
}

/** Waits until the lock is mine; returns the folders that were made for it. */
function enter(folder: string, lock: string, me: string): string[] {
  const end = Date.now() + patience;
  const made: string[] = [];
  try {
    for (;;) {
      // again at each turn: a build that failed removes the folders that it made
      made.push(...makeFolders(folder));
      if (take(lock, me)) return made;
      if (Date.now() > end)
        throw new Failure(`another build is writing to ${folder}: end it, or remove ${lock}`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause);
    }
  } catch (error) {
    removeFolders(made);
    if (error instanceof Failure) throw error;
    throw new Failure(`cannot write to ${folder}: ${reasonOf(error)}; it was left as it was`);
  }
}

/** Whether the lock was free, or somebody's who is no more, and now is mine. */
export function take(lock: string, me: string): boolean {
  const owner = ownerOf(lock);
  if (owner !== undefined) return !isRunning(owner) && takeOver(lock, owner, me);
  const aside = `${lock}.${me}`;
  // what is left of it if somebody was killed just then
  attempt(() => rmdirSync(lock));
  try {
    mkdirSync(aside);
    writeFileSync(join(aside, me), '');
    return attempt(() => renameSync(aside, lock));
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

/** Whether the lock was still the owner's, and now is mine. */
export const takeOver = (lock: string, owner: string, me: string): boolean =>
  attempt(() => renameSync(join(lock, owner), join(lock, me)));

/** Undefined where the lock is free: not there, or just being removed. */
export function ownerOf(lock: string): string | undefined {
  let owner: string | undefined;
  attempt(() => {
    [owner] = readdirSync(lock);
  });
  return owner;
}

/** The number of one that was killed may be another's by now, which then is waited for, or this one's. */
export function isRunning(owner: string): boolean {
  const id = Number.parseInt(owner, 10);
  try {
    return id !== process.pid && process.kill(id, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether something could be done: others may be faster. */
function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}
