/** Runs something now and whenever a file was saved. */
import { stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { Failure, type Io } from './io.ts';

/**
 * How often to look, in milliseconds. Looking sees what a notification by the system would not: edits through a link,
 * a folder that is put in the place of another, and files that other machines write.
 */
const interval = 100;

export interface Watched {
  readonly file: string;
  readonly read: () => Promise<string>;
  readonly build: (text: string) => Promise<number>;
  /** Says what was thrown, but for what the first reading throws, which ends the watch. */
  readonly show: (error: unknown) => void;
}

/** Resolves to 0 when interrupted. */
export async function watch({ file, read, build, show }: Watched, io: Io): Promise<number> {
  // looked at before it is read, so that whatever is saved from here on makes a difference
  let known = await stampOf(file);
  let built: string | undefined = await read();
  await build(built).catch(show);
  io.err(`watching ${file}; interrupt to stop\n`);
  const again = async (): Promise<unknown> => {
    const text = await read();
    if (text === built) return;
    built = text;
    return build(text);
  };
  const lost = (): void => {
    built = undefined;
    show(new Failure(`${file} is gone; it is built again when it is back`));
  };
  let before = known;
  for await (const stamp of stampsOf(file, interruption(io))) {
    // Editors write a file in several steps, or put another in its place: wait until it has been the same twice.
    const isQuiet = stamp === before;
    before = stamp;
    if (!isQuiet || stamp === known) continue;
    known = stamp;
    if (stamp === undefined) lost();
    else await again().catch(show);
  }
  return 0;
}

/** What tells one state of a file from the next; undefined where it is not there. */
async function stampOf(file: string): Promise<string | undefined> {
  const found = await stat(file, { bigint: true }).catch(() => undefined);
  return found && [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ');
}

async function* stampsOf(file: string, end: AbortSignal): AsyncGenerator<string | undefined> {
  for (;;) {
    await pause(interval, undefined, { signal: end }).catch(() => {});
    if (end.aborted) return;
    yield await stampOf(file);
  }
}

function interruption({ signal }: Io): AbortSignal {
  const end = new AbortController();
  const stop = (): void => end.abort();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, stop);
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop, { once: true });
  return end.signal;
}
