/** What a build that was killed leaves in a folder: its lock, and files that were to be put in their places. */
import { existsSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { list, tryRemove } from './folders.ts';
import { isRunning, lockName, ownerOf } from './lock.ts';

/** What a file is called until it is renamed. */
export const nameAside = (name: string): string => `.${name}.normgrad-${process.pid}`;

const fileAside = /^\..*\.normgrad-(\d+)$/;
const lockAside = new RegExp(`^\\${lockName}\\.(\\d+)-`);

/** Paths relative to the folder, with `/` between their parts. */
export function leftIn(folder: string): string[] {
  const entries = list(folder);
  const inner = entries
    .filter(({ name, isFolder }) => isFolder && !/^\.|^node_modules$/.test(name))
    .flatMap(({ name }) => list(join(folder, name)).map((entry) => `${name}/${entry.name}`))
    // a lock there is another build's
    .filter((path) => fileAside.test(basename(path)));
  return [...entries.map(({ name }) => name), ...inner].filter((path) => isLeft(join(folder, path))).sort();
}

/** Whether it belongs to a build that is no more, and is there. A build that ended meanwhile took it along. */
function isLeft(path: string): boolean {
  const name = basename(path);
  const owner =
    name === lockName ? (ownerOf(path) ?? '') : (fileAside.exec(name)?.[1] ?? lockAside.exec(name)?.[1]);
  return owner !== undefined && !isRunning(owner) && existsSync(path);
}

/** For the build that has the lock, which stays, and has no files aside any more. */
export function removeLeft(folder: string): void {
  for (const path of leftIn(folder)) {
    if (path === lockName) continue;
    rmSync(join(folder, path), { recursive: true, force: true });
    if (path.includes('/')) tryRemove(join(folder, dirname(path)));
  }
}
