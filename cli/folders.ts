/** Folders as a build finds, makes and removes them. */
import { mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure, reasonOf } from './io.ts';

/** The files and folders in a folder; none where it is not there. */
export function list(folder: string): { name: string; isFolder: boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isDirectory())
      .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new Failure(`cannot read the folder ${folder}: ${reasonOf(error)}`);
  }
}

/**
 * Makes a folder and those above it, all or none; returns those that were not there, the outermost first. Node's own
 * way to make several tries for ever where the system says that there is no such place, as in /proc.
 */
export function makeFolders(folder: string): string[] {
  if (isFolder(folder)) return [];
  const above = dirname(folder);
  const made = above === folder ? [] : makeFolders(above);
  try {
    mkdirSync(folder);
  } catch (error) {
    // another build may have made it meanwhile
    if (isFolder(folder)) return made;
    removeFolders(made);
    throw error;
  }
  return [...made, folder];
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Removes folders that `makeFolders` made, as far as they are empty. */
export const removeFolders = (made: readonly string[]): void => {
  for (const folder of made.toReversed()) tryRemove(folder);
};

/** Removes a folder if it is empty. */
export function tryRemove(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Somebody else's files are in it.
  }
}
