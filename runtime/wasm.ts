/** Runs WebAssembly kernels: modules compiled once, phases cut into blocks and shared by threads. */
import type { Numbers, WasmKernelDescription, WasmPhaseDescription } from './description.ts';
import { type Memory, openMemory } from './memory.ts';
import { remember } from './remember.ts';
import { mostChunks, openThreads, type SharedRoutine, type SharedRoutines, type Threads } from './threads.ts';

/** Elements below which a phase is not worth waking another thread for. */
const fewElements = 32768;
/** Parts that a phase of few kept indices is cut into. It does not depend on the threads, so neither do results. */
const parts = 16;
/** A phase of this many kept indices has parts enough. */
const enoughKept = 8;
/** Elements that caches hold until they are read again. Where there are more, they are walked in the order of memory. */
const cachedElements = 2 ** 20;

/** A kernel whose phases were cut for a call. */
export interface WasmLaunch extends WasmKernelDescription {
  readonly numbers: Numbers;
  readonly calls: readonly {
    readonly routine: SharedRoutine;
    /** Parts or kept indices. */
    readonly items: number;
    /** How many are visited. */
    readonly elements: number;
  }[];
}

export interface WasmRunner {
  launch(kernel: WasmKernelDescription, numbers: Numbers): WasmLaunch;
  /** `addresses` are those of the bindings. */
  run(launch: WasmLaunch, addresses: readonly number[]): void;
}

/** What kernels expect each thread to have to itself. */
export const ownBytes = 2 ** 18;
/** What the numbers of a call take at most. */
export const numbersBytes = 2 ** 16;

/** `threads` is how many work at a time, the caller included. */
export function makeRunner({ memory, threads: team, load }: Machine, threads: number): WasmRunner {
  const { byteOffset: at } = memory.allocate(numbersBytes);
  const { buffer } = memory.memory;
  const [integers, floats] = [new Uint32Array(buffer, at), new Float64Array(buffer, at)];
  return {
    launch: (kernel, given) => {
      const shared = load(kernel.module);
      const numbers: Record<string, number> = { ...given };
      const calls = kernel.phases.flatMap((phase): WasmLaunch['calls'] => {
        const [kept, elements] = [phase.kept(given), phase.elements(given)];
        const blocks = blocksOf(phase, kept, elements, given);
        numbers[phase.blocks] = blocks;
        if (blocks === 1 || kept >= enoughKept)
          return [{ routine: shared[phase.together]!, items: kept, elements }];
        return phase.routines.map(({ name, over }) => ({
          routine: shared[name]!,
          items: over === 'parts' ? kept * blocks : kept,
          elements,
        }));
      });
      return { ...kernel, numbers, calls };
    },
    run: ({ slots, uniforms, numbers, calls }, addresses) => {
      for (let i = 0; i < addresses.length; i++) integers[2 * slots[i]!] = addresses[i]!;
      for (let i = 0; i < uniforms.length; i++) {
        const { name, type } = uniforms[i]!;
        const slot = slots[addresses.length + i]!;
        if (type === 'u32') integers[2 * slot] = numbers[name]!;
        else floats[slot] = numbers[name]!;
      }
      for (const { routine, items, elements } of calls) {
        if (items === 0) continue;
        if (threads === 1 || elements < fewElements || items === 1) routine.run(at, 0, items);
        else team.run(routine, at, items, Math.min(items, 8 * threads, mostChunks), threads);
      }
    },
  };
}

function blocksOf(phase: WasmPhaseDescription, kept: number, elements: number, numbers: Numbers): number {
  if (elements < 2 * fewElements) return 1;
  if (kept >= enoughKept) return elements < cachedElements ? 1 : phase.strips(numbers);
  return Math.max(1, Math.min(phase.units(numbers), Math.ceil(parts / kept)));
}

/** What all devices of a process share: the memory, the threads and the modules compiled for them. */
export interface Machine {
  readonly memory: Memory;
  readonly threads: Threads;
  /** The functions of a module, given as text, by name. */
  load(text: string): SharedRoutines;
}

/** Undefined where the host has no shared memory. */
export function openMachine(): Machine | undefined {
  const memory = openMemory();
  if (!memory) return undefined;
  const threads = openThreads(memory.memory, () => memory.allocate(ownBytes).byteOffset);
  const modules = new Map<string, SharedRoutines>();
  return {
    memory,
    threads,
    load: (text) =>
      remember(modules, text, () =>
        threads.share(new WebAssembly.Module(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)))),
      ),
  };
}
