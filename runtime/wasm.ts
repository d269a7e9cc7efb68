/** Runs WebAssembly kernels: modules compiled once, phases cut into blocks and shared by threads. */
import type { Numbers, WasmKernelDescription, WasmPhaseDescription } from './description.ts';
import { type Memory, openMemory } from './memory.ts';
import { mostChunks, openThreads, type SharedRoutine, type Threads, type WasmFunction } from './threads.ts';

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

/** What kernels expect each thread to have to itself. */
const ownBytes = 2 ** 18;

const slotBytes = 8;
const mostSlots = 512;

/** `threads` is how many work at a time, the caller included. */
export function makeRunner(machine: Machine, threads: number): WasmRunner {
  const { memory } = machine;
  const block = memory.allocate(mostSlots * slotBytes);
  const { buffer } = memory.memory;
  const integers = new Uint32Array(buffer, block.address, 2 * mostSlots);
  const floats = new Float64Array(buffer, block.address, mostSlots);

  const call = (routine: SharedRoutine, items: number, elements: number): void => {
    if (items === 0) return;
    if (threads === 1 || elements < fewElements || items === 1) routine.run(block.address, 0, items);
    else
      machine.threads.run(routine, block.address, items, Math.min(items, 8 * threads, mostChunks), threads);
  };
  return {
    decide: (kernels, numbers) => {
      const decided: Record<string, number> = { ...numbers };
      for (const { phases } of kernels)
        for (const phase of phases) decided[phase.blocks] = blocksOf(phase, numbers);
      return decided;
    },
    run: (kernel, addresses, numbers) => {
      const { slots, uniforms } = kernel;
      for (let i = 0; i < addresses.length; i++) integers[2 * slots[i]!] = addresses[i]!;
      for (let i = 0; i < uniforms.length; i++) {
        const { name, type } = uniforms[i]!;
        const slot = slots[addresses.length + i]!;
        if (type === 'u32') integers[2 * slot] = numbers[name]!;
        else floats[slot] = numbers[name]!;
      }
      for (const { phase, together, routines } of machine.load(kernel)) {
        const kept = phase.kept(numbers);
        const blocks = numbers[phase.blocks]!;
        const elements = phase.elements(numbers);
        if (blocks === 1) call(together, kept, elements);
        else
          for (const { over, routine } of routines)
            call(routine, over === 'parts' ? kept * blocks : kept, elements);
      }
    },
  };
}

function blocksOf(phase: WasmPhaseDescription, numbers: Numbers): number {
  const kept = phase.kept(numbers);
  if (kept === 0 || kept >= enoughKept || phase.elements(numbers) < 2 * fewElements) return 1;
  return Math.max(1, Math.min(phase.units(numbers), Math.ceil(parts / kept)));
}

/** A phase with its routines, and what runs all of them in turn. */
interface LoadedPhase {
  readonly phase: WasmPhaseDescription;
  readonly together: SharedRoutine;
  readonly routines: readonly { readonly over: 'kept' | 'parts'; readonly routine: SharedRoutine }[];
}

/** What all devices of a process share: the memory, the threads and the modules compiled for them. */
export interface Machine {
  readonly memory: Memory;
  readonly threads: Threads;
  load(kernel: WasmKernelDescription): readonly LoadedPhase[];
}

/** Undefined where the host has no shared memory. */
export function openMachine(): Machine | undefined {
  const memory = openMemory();
  if (!memory) return undefined;
  const allocate = (): number => memory.allocate(ownBytes).address;
  const threads = openThreads(memory.memory, allocate);
  const own = allocate();
  const kernels = new Map<WasmKernelDescription, readonly LoadedPhase[]>();
  const modules = new Map<string, WebAssembly.WebAssemblyInstantiatedSource>();
  const instantiate = (text: string): WebAssembly.WebAssemblyInstantiatedSource => {
    let known = modules.get(text);
    if (!known) {
      const module = new WebAssembly.Module(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
      const math = Math as unknown as WebAssembly.ModuleImports;
      known = {
        module,
        instance: new WebAssembly.Instance(module, { env: { memory: memory.memory, own }, math }),
      };
      modules.set(text, known);
    }
    return known;
  };
  return {
    memory,
    threads,
    load: (kernel) => {
      const known = kernels.get(kernel);
      if (known) return known;
      const { module, instance } = instantiate(kernel.module);
      const share = (name: string): SharedRoutine =>
        threads.share(module, name, instance.exports[name] as WasmFunction);
      const made = kernel.phases.map((phase) => ({
        phase,
        together: share(phase.together),
        routines: phase.routines.map(({ name, over }) => ({ over, routine: share(name) })),
      }));
      kernels.set(kernel, made);
      return made;
    },
  };
}
