/** Runs something now and whenever a file was saved. */
import { watch as watchFolder } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type Io, reasonOf } from './io.ts';
import { readSpec } from './spec.ts';

/** Editors write a file in several steps, or put another in its place: wait until it has been quiet for so long. */
const quiet = 60;

/** Resolves to 0 when interrupted. The folder is watched, since the file may be replaced. */
export async function watch(file: string, build: (text: string) => Promise<number>, io: Io): Promise<number> {
  let last = await readSpec(file);
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<unknown> = attempt(() => build(last), io);
  await turn;
  io.err(`watching ${file}; interrupt to stop\n`);
  const again = async (): Promise<unknown> => {
    const text = await readSpec(file);
    if (text === last) return;
    last = text;
    return build(text);
  };
  const watcher = watchFolder(dirname(file), (_, name) => {
    if (name !== null && name !== basename(file)) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      turn = turn.then(() => attempt(again, io));
    }, quiet);
  });
  await new Promise<void>((resolve) => {
    io.signal?.addEventListener('abort', () => resolve(), { once: true });
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
    watcher.once('error', (error) => {
      io.err(`normgrad: cannot watch ${file}: ${reasonOf(error)}\n`);
      resolve();
    });
  });
  watcher.close();
  clearTimeout(timer);
  await turn;
  return 0;
}

/** A file that is away for a moment, or an op that was renamed, must not end the watch. */
async function attempt(work: () => Promise<unknown>, io: Io): Promise<void> {
  try {
    await work();
  } catch (error) {
    io.err(`normgrad: ${reasonOf(error)}\n`);
  }
}
