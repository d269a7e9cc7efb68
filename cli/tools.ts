/** The emitters' tools on a thread of their own: loading them takes as long as the rest of a build. */
import { Worker } from 'node:worker_threads';

import type { Tools } from '../compiler/emit/tools.ts';
import type { Target } from '../compiler/targets.ts';

/** A call of a tool, and what came of it. */
export interface Request {
  readonly id: number;
  readonly tool: keyof Tools;
  readonly argument: unknown;
}
export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: unknown;
}

export interface RemoteTools extends Tools {
  /** Ends the thread. */
  close(): void;
}

/** Starts the thread, which loads at once what these targets need. */
export function openTools(targets: readonly Target[]): RemoteTools {
  // What loads TypeScript as it is does not reach other threads in Node 20.
  if (import.meta.url.endsWith('.ts')) return openHere();
  const worker = new Worker(new URL('./tools-worker.js', import.meta.url), { workerData: targets });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  worker.on('message', ({ id, value, error }: Answer) => {
    const { resolve, reject } = waiting.get(id)!;
    waiting.delete(id);
    if (error === undefined) resolve(value);
    else reject(error);
  });
  worker.on('error', (error) => {
    for (const { reject } of waiting.values()) reject(error);
  });
  let count = 0;
  const call = (tool: keyof Tools, argument: unknown) =>
    new Promise<unknown>((resolve, reject) => {
      const id = count++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, tool, argument } satisfies Request);
    });
  return {
    print: (statements) => call('print', statements) as ReturnType<Tools['print']>,
    assemble: (code) => call('assemble', code) as ReturnType<Tools['assemble']>,
    close: () => void worker.terminate(),
  };
}

/** The same without a thread. */
function openHere(): RemoteTools {
  const loading = import('../compiler/emit/tools.ts');
  return {
    print: async (statements) => (await loading).tools.print(statements),
    assemble: async (code) => (await loading).tools.assemble(code),
    close: () => {},
  };
}
