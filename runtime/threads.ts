/**
 * Threads that share the parts of a routine. The caller works too and waits for nobody who has not begun, so that it
 * makes no difference to results whether, when and how many threads are there.
 */

/** Where things are in the control block, in 32-bit words: the first 64 bytes of the memory. */
const word = {
  state: 0,
  done: 1,
  posted: 2,
  limit: 3,
  routine: 4,
  numbers: 5,
  items: 6,
  chunks: 7,
  failed: 8,
};
/** The state is a job's number and, in its last bits, which chunk is next. */
const chunkBits = 12;
const closed = 2 ** chunkBits - 1;
export const mostChunks = 256;

/** A routine: the address of a call's numbers, and a range. */
export type WasmFunction = (numbers: number, begin: number, end: number) => void;

/** A routine that every thread knows. */
export interface SharedRoutine {
  readonly index: number;
  readonly run: WasmFunction;
}

export interface Threads {
  /** Makes a module's exports known to all threads. */
  share(module: WebAssembly.Module, name: string, run: WasmFunction): SharedRoutine;
  /** Runs a routine for `items`, in so many chunks, on up to so many threads. Returns when all is done. */
  run(routine: SharedRoutine, numbers: number, items: number, chunks: number, threads: number): void;
}

/** What all threads of a process share. Each other thread gets memory of its own from `allocate`. */
export function openThreads(memory: WebAssembly.Memory, allocate = () => 0): Threads {
  const control = new Int32Array(memory.buffer, 0, 16);
  const posts: object[] = [];
  const workers: { postMessage(message: object): void }[] = [];
  let wanted = 0;
  let generation = 0;

  const post = (message: object): void => {
    posts.push(message);
    for (const worker of workers) worker.postMessage(message);
    Atomics.store(control, word.posted, posts.length);
    Atomics.notify(control, word.state);
  };
  /** Starts threads that are still missing; they join when they are ready. */
  const want = (count: number): void => {
    while (wanted < count) {
      const mine = wanted++;
      startWorker({ memory, own: allocate(), mine, word, chunkBits })
        .then((worker) => {
          workers.push(worker);
          for (const message of posts) worker.postMessage(message);
        })
        .catch(() => {}); // no threads here: the caller does all the work
    }
  };
  let routines = 0;
  return {
    share: (module, name, run) => {
      const index = routines++;
      post({ module, name, index });
      return { index, run };
    },
    run: ({ index, run }, numbers, items, chunks, threads) => {
      want(threads - 1);
      generation = (generation + 1) & (2 ** (31 - chunkBits) - 1);
      Atomics.store(control, word.done, 0);
      Atomics.store(control, word.failed, 0);
      control[word.limit] = threads - 1;
      control[word.routine] = index;
      control[word.numbers] = numbers;
      control[word.items] = items;
      control[word.chunks] = chunks;
      const first = generation << chunkBits;
      Atomics.store(control, word.state, first);
      Atomics.notify(control, word.state);
      for (;;) {
        const chunk = Atomics.add(control, word.state, 1) - first;
        if (chunk >= chunks) break;
        run(numbers, share(items, chunk, chunks), share(items, chunk + 1, chunks));
        Atomics.add(control, word.done, 1);
      }
      while (Atomics.load(control, word.done) < chunks);
      // nobody takes a chunk of this job for one of the next while that is being described
      Atomics.store(control, word.state, first | closed);
      if (Atomics.load(control, word.failed)) throw new Error('a kernel failed on another thread');
    },
  };
}

/** Where a chunk begins: the same whoever takes it. */
const share = (items: number, chunk: number, chunks: number): number => Math.floor((items * chunk) / chunks);

interface Start {
  readonly memory: WebAssembly.Memory;
  readonly own: number;
  /** The thread's own number. */
  readonly mine: number;
  readonly word: typeof word;
  readonly chunkBits: number;
}

/** An export that every thread is told of. */
interface Post {
  readonly module: WebAssembly.Module;
  readonly name: string;
  readonly index: number;
}

/** A worker of Node or of a browser, from source text, since a file of its own would be lost in bundles. */
async function startWorker(start: Start): Promise<{ postMessage(message: object): void }> {
  const isNode = globalThis.process?.versions?.node !== undefined;
  const port = isNode ? "require('node:worker_threads').parentPort" : 'self';
  // esbuild wraps functions that are to keep their names
  const source = `const __name = (f) => f; (${work})(${port});`;
  if (isNode) {
    const module = 'node:worker_threads';
    const { Worker } = (await import(/* @vite-ignore */ module)) as typeof import('node:worker_threads');
    const worker = new Worker(source, { eval: true, execArgv: [] });
    worker.on('error', () => {}); // what it had not begun, others do
    worker.unref();
    worker.postMessage(start);
    return worker;
  }
  if (!globalThis.crossOriginIsolated) throw new Error('not shared');
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
  worker.postMessage(start);
  return worker;
}

/** The whole program of a worker; it stands alone. */
function work(port: { onmessage: (event: { readonly data: Start | Post }) => void }): void {
  const routines: WasmFunction[] = [];
  const instances = new Map<WebAssembly.Module, WebAssembly.Instance>();
  let known = 0;

  /** Takes chunks until there are messages to read. */
  function loop({ memory, mine, word, chunkBits }: Start): void {
    const control = new Int32Array(memory.buffer, 0, 16);
    const turns = 20_000;
    let idle = 0;
    while (Atomics.load(control, word.posted) <= known) {
      const state = Atomics.load(control, word.state);
      const chunk = state & (2 ** chunkBits - 1);
      const chunks = control[word.chunks]!;
      if (chunk >= chunks || mine >= control[word.limit]!) {
        if (++idle < turns) continue;
        Atomics.wait(control, word.state, state, 1000);
        idle = 0;
        continue;
      }
      idle = 0;
      const items = control[word.items]!;
      const numbers = control[word.numbers]!;
      const run = routines[control[word.routine]!];
      // taken only if the job is still the one that was read
      if (!run || Atomics.compareExchange(control, word.state, state, state + 1) !== state) continue;
      try {
        run(numbers, Math.floor((items * chunk) / chunks), Math.floor((items * (chunk + 1)) / chunks));
      } catch {
        Atomics.store(control, word.failed, 1);
      }
      Atomics.add(control, word.done, 1);
    }
  }

  let start: Start | undefined;
  port.onmessage = ({ data }) => {
    if ('memory' in data) {
      start = data;
    } else {
      const { module, name, index } = data;
      const { memory, own } = start!;
      // biome-ignore lint/suspicious/noExplicitAny: Math is a record of functions
      const imports = { env: { memory, own }, math: Math as any };
      const instance = instances.get(module) ?? new WebAssembly.Instance(module, imports);
      instances.set(module, instance);
      routines[index] = instance.exports[name] as WasmFunction;
      known++;
    }
    loop(start!);
  };
}
