/**
 * Threads that share the parts of a routine. The caller works too and waits for nobody who has not begun, so that it
 * makes no difference to results whether, when and how many threads are there.
 */

export const mostChunks = 256;

/** A routine: the address of a call's numbers, and a range. */
export type WasmFunction = (numbers: number, begin: number, end: number) => void;

/** A routine that every thread knows. */
export interface SharedRoutine {
  readonly index: number;
  readonly run: WasmFunction;
}
export type SharedRoutines = { readonly [name: string]: SharedRoutine };

export interface Threads {
  /** Makes a module's functions known to all threads. */
  share(module: WebAssembly.Module): SharedRoutines;
  /** Runs a routine for `items`, in so many chunks, on up to so many threads. Returns when all is done. */
  run(routine: SharedRoutine, numbers: number, items: number, chunks: number, threads: number): void;
}

/** A worker as far as it is used. */
interface Listener {
  postMessage(message: Post): void;
}

/** A module that every thread is told of, in the same order. */
interface Post {
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  /** Where the thread has memory to itself. */
  readonly own: number;
}

/** What all threads of a process share; `allocate` finds memory for each to have to itself. */
export function openThreads(memory: WebAssembly.Memory, allocate = () => 0): Threads {
  const caller = join(memory, allocate());
  const modules: WebAssembly.Module[] = [];
  const workers: ((module: WebAssembly.Module) => void)[] = [];
  let wanted = 1;
  /** Starts threads that are still missing; they join when they are ready. */
  const want = (count: number): void => {
    for (; wanted < count; wanted++)
      startWorker()
        .then((worker) => {
          const own = allocate();
          const tell = (module: WebAssembly.Module): void => worker.postMessage({ memory, module, own });
          workers.push(tell);
          modules.forEach(tell);
        })
        .catch(() => {}); // no threads here: the caller does all the work
  };
  return {
    share: (module) => {
      modules.push(module);
      for (const tell of workers) tell(module);
      return caller.load(module);
    },
    run: ({ index }, numbers, items, chunks, threads) => {
      want(threads);
      caller.run(index, numbers, items, chunks, threads);
    },
  };
}

/** A worker of Node or of a browser, from source text, since a file of its own would be lost in bundles. */
async function startWorker(): Promise<Listener> {
  // not imported, so that no bundler looks for it
  const node = globalThis.process?.getBuiltinModule?.('node:worker_threads');
  const port = node ? "require('node:worker_threads').parentPort" : 'self';
  // esbuild wraps functions that are to keep their names
  const source = `const __name = (f) => f; (${work})(${port}, ${join});`;
  if (node) {
    const worker = new node.Worker(source, { eval: true, execArgv: [] });
    worker.on('error', () => {}); // what it had not begun, others do
    worker.unref();
    return worker;
  }
  if (!globalThis.crossOriginIsolated) throw new Error('not shared');
  return new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
}

/** The program of a worker, which consists of this and `join` alone. */
function work(port: { onmessage: (event: { readonly data: Post }) => void }, enter: typeof join): void {
  let thread: Thread | undefined;
  port.onmessage = ({ data: { memory, module, own } }) => {
    thread ??= enter(memory, own);
    thread.load(module);
    thread.work();
  };
}

type Thread = ReturnType<typeof join>;

/** A thread takes part: the caller, and then the workers. What threads share are the first 64 bytes of the memory. */
function join(memory: WebAssembly.Memory, own: number) {
  // Places of 32-bit words. The state is a job's number and, in its last bits, which chunk is next.
  const stateAt = 0;
  const doneAt = 1;
  const failedAt = 2;
  const postedAt = 3;
  const joinedAt = 4;
  // A job, in this order.
  const limitAt = 5;
  const routineAt = 6;
  const numbersAt = 7;
  const itemsAt = 8;
  const chunksAt = 9;
  /** The last bits of a state while there is no job. */
  const closed = 4095;
  /** Turns without work after which a thread sleeps. */
  const patience = 20_000;

  const control = new Int32Array(memory.buffer, 0, 16);
  const mine = Atomics.add(control, joinedAt, 1);
  const routines: WasmFunction[] = [];

  /** Does the next chunk, unless another thread takes it. Returns whether there was one for this thread. */
  const take = (state: number): boolean => {
    const chunk = state & closed;
    const chunks = control[chunksAt]!;
    if (chunk >= chunks || mine >= control[limitAt]!) return false;
    const run = routines[control[routineAt]!];
    const numbers = control[numbersAt]!;
    const items = control[itemsAt]!;
    // taken only if the job is still the one that was read
    if (run && Atomics.compareExchange(control, stateAt, state, state + 1) === state) {
      const begin = (at: number): number => Math.floor((items * at) / chunks);
      try {
        run(numbers, begin(chunk), begin(chunk + 1));
      } catch {
        Atomics.store(control, failedAt, 1);
      }
      Atomics.add(control, doneAt, 1);
    }
    return true;
  };
  return {
    /** Makes a module's functions known to this thread, and has others read their messages who do not know them. */
    load: (module: WebAssembly.Module): SharedRoutines => {
      const { exports } = new WebAssembly.Instance(module, {
        env: { memory, own },
        math: Math as unknown as WebAssembly.ModuleImports,
      });
      const shared: Record<string, SharedRoutine> = {};
      for (const name in exports) {
        const run = exports[name] as WasmFunction;
        shared[name] = { run, index: routines.push(run) - 1 };
      }
      if (mine === 0) Atomics.store(control, postedAt, routines.length);
      Atomics.notify(control, stateAt);
      return shared;
    },
    run: (routine: number, numbers: number, items: number, chunks: number, threads: number): void => {
      Atomics.store(control, doneAt, 0);
      Atomics.store(control, failedAt, 0);
      control.set([threads, routine, numbers, items, chunks], limitAt);
      Atomics.store(control, stateAt, (control[stateAt]! | closed) + 1);
      Atomics.notify(control, stateAt);
      while (take(Atomics.load(control, stateAt)));
      while (Atomics.load(control, doneAt) < chunks);
      // nobody takes a chunk of this job for one of the next while that is being described
      Atomics.or(control, stateAt, closed);
      if (Atomics.load(control, failedAt)) throw new Error('a kernel failed');
    },
    /** Takes chunks until there are messages to read. */
    work: (): void => {
      let idle = 0;
      while (Atomics.load(control, postedAt) <= routines.length) {
        const state = Atomics.load(control, stateAt);
        if (take(state)) idle = 0;
        else if (++idle === patience) {
          Atomics.wait(control, stateAt, state, 1000);
          idle = 0;
        }
      }
    },
  };
}
