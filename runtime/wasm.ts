/** Runs WebAssembly kernels: modules compiled once, phases cut into blocks and shared by threads. */
import type { Numbers, WasmKernelDescription, WasmPhaseDescription } from './description.ts';
import { type Memory, openMemory } from './memory.ts';
import { remember } from './remember.ts';
import { mostChunks, openThreads, type SharedRoutine, type SharedRoutines, type Threads } from './threads.ts';

/** Elements below which a phase is not worth waking another thread for. */
const fewElements = 32768;
/** Parts that a phase of few kept indices is cut into. It does not depend on the threads, so neither do results. */
const parts = 16;
/** A phase whose kept indices alone make this many parts is not cut further. */
const enoughKept = 8;

export interface WasmRunner {
  /** Into how many blocks the kept indices of each phase are cut. */
  decide(kernels: readonly WasmKernelDescription[], numbers: Numbers): Numbers;
  /** `addresses` are those of the bindings. */
  run(kernel: WasmKernelDescription, addresses: readonly number[], numbers: Numbers): void;
}

/** Of 512 slots: more than any call has numbers. */
const numbersBytes = 4096;

/** `threads` is how many work at a time, the caller included. */
export function makeRunner(machine: Machine, threads: number): WasmRunner {
  const { memory } = machine;
  const block = memory.allocate(numbersBytes);
  const { buffer } = memory.memory;
  const integers = new Uint32Array(buffer, block.byteOffset);
  const floats = new Float64Array(buffer, block.byteOffset);

  const call = (routine: SharedRoutine, items: number, elements: number): void => {
    if (items === 0) return;
    if (threads === 1 || elements < fewElements || items === 1) routine.run(block.byteOffset, 0, items);
    else
      machine.threads.run(
        routine,
        block.byteOffset,
        items,
        Math.min(items, 8 * threads, mostChunks),
        threads,
      );
  };
  return {
    decide: (kernels, numbers) => {
      const decided: Record<string, number> = { ...numbers };
      for (const { phases } of kernels)
        for (const phase of phases) decided[phase.blocks] = blocksOf(phase, numbers);
      return decided;
    },
    run: ({ module, slots, uniforms, phases }, addresses, numbers) => {
      for (let i = 0; i < addresses.length; i++) integers[2 * slots[i]!] = addresses[i]!;
      for (let i = 0; i < uniforms.length; i++) {
        const { name, type } = uniforms[i]!;
        const slot = slots[addresses.length + i]!;
        if (type === 'u32') integers[2 * slot] = numbers[name]!;
        else floats[slot] = numbers[name]!;
      }
      const shared = machine.load(module);
      for (const phase of phases) {
        const kept = phase.kept(numbers);
        const blocks = numbers[phase.blocks]!;
        const elements = phase.elements(numbers);
        if (blocks === 1) call(shared[phase.together]!, kept, elements);
        else
          for (const { name, over } of phase.routines)
            call(shared[name]!, over === 'parts' ? kept * blocks : kept, elements);
      }
    },
  };
}

function blocksOf(phase: WasmPhaseDescription, numbers: Numbers): number {
  const kept = phase.kept(numbers);
  if (kept === 0 || kept >= enoughKept || phase.elements(numbers) < 2 * fewElements) return 1;
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
  const threads = openThreads(memory.memory);
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
