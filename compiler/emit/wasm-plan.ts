/** What one WebAssembly module holds: kernels share the place of their numbers, and routines that come out equal. */
import { invariant } from '../diagnostics.ts';
import { eachCode, eachStatement } from '../kernel/collect.ts';
import {
  type Binding,
  type Kernel,
  mostSlots,
  type Phase,
  type Routine,
  type Statement,
} from '../kernel/kernel.ts';
import { identityOf } from './identity.ts';
import { sequenceOf } from './wasm-sequence.ts';

/** A number of a call, and where it lies: 8 bytes each. */
export interface Argument {
  readonly name: string;
  readonly slot: number;
  /** An address or a size is an integer. */
  readonly isReal: boolean;
}

export interface ModuleRoutine {
  /** The name it is exported under. */
  readonly name: string;
  readonly routine: Routine;
  readonly kernel: Kernel;
  /** The numbers of a call that it reads. */
  readonly used: readonly Argument[];
}

/** A phase of a kernel, by the names under which the module exports it. */
export interface ModulePhase {
  readonly phase: Phase;
  readonly names: readonly string[];
  /** What runs all of its routines for a range of kept indices. */
  readonly together: string;
}

export interface ModulePlan {
  readonly routines: readonly ModuleRoutine[];
  /** Those that run several of them in turn. */
  readonly sequences: readonly ModuleRoutine[];
  readonly phasesOf: (kernel: Kernel) => readonly ModulePhase[];
  /** The numbers of a kernel's calls: its bindings' addresses in order, then its uniforms. */
  readonly argumentsOf: (kernel: Kernel) => readonly Argument[];
}

export function planModule(kernels: readonly Kernel[]): ModulePlan {
  const slots = new Map<string, number>();
  const slotOf = (key: string): number => {
    const known = slots.get(key) ?? slots.size;
    slots.set(key, known);
    return known;
  };
  const argumentsOf = ({ bindings, uniforms }: Kernel): Argument[] => [
    ...bindings.map(({ name, dtype }) => ({ name, slot: slotOf(`array ${name} ${dtype}`), isReal: false })),
    ...uniforms.map(({ name, type }) => ({ name, slot: slotOf(`${type} ${name}`), isReal: type === 'f32' })),
  ];
  const routines = new Map<string, ModuleRoutine>();
  const sequences = new Set<string>();
  const counts = new Map<string, number>();
  const fresh = (base: string): string => {
    const k = (counts.get(base) ?? 0) + 1;
    counts.set(base, k);
    return `${base}_${k}`;
  };
  const add = (kernel: Kernel, given: Routine): string => {
    const routine = withCalls(given, (phase) => addPhase(kernel, phase));
    const names = namesUsed(routine);
    const used = argumentsOf(kernel).filter(({ name }) => names.has(name));
    const key = JSON.stringify([identityOf(routine), used]);
    const known = routines.get(key) ?? { name: fresh(routine.name), routine, kernel, used };
    routines.set(key, known);
    return known.name;
  };
  const sequence = (kernel: Kernel, phase: Phase, names: readonly string[]): string => {
    if (names.length === 1) return names[0]!;
    const name = add(kernel, sequenceOf(phase, names));
    sequences.add(name);
    return name;
  };
  const phases = new Map<Phase, ModulePhase>();
  const addPhase = (kernel: Kernel, phase: Phase): ModulePhase => {
    const known = phases.get(phase);
    if (known) return known;
    const names = phase.routines.map((routine) => add(kernel, routine));
    const added = { phase, names, together: sequence(kernel, phase, names) };
    phases.set(phase, added);
    return added;
  };
  for (const kernel of kernels) for (const phase of kernel.phases) addPhase(kernel, phase);
  for (const kernel of kernels) argumentsOf(kernel);
  invariant(slots.size <= mostSlots, `${slots.size} numbers in one WebAssembly module`);
  const all = [...routines.values()];
  return {
    routines: all.filter(({ name }) => !sequences.has(name)),
    sequences: all.filter(({ name }) => sequences.has(name)),
    phasesOf: ({ phases: own }) => own.map((phase) => phases.get(phase)!),
    argumentsOf,
  };
}

/** A routine of a module as it is assembled: data alone. */
export interface RoutineCode {
  readonly name: string;
  readonly routine: Routine;
  readonly bindings: readonly Binding[];
  /** The numbers of a call that it reads. */
  readonly used: readonly Argument[];
}

export const codeOf = ({ routines, sequences }: ModulePlan): RoutineCode[] =>
  [...routines, ...sequences].map(({ name, routine, kernel: { bindings }, used }) => ({
    name,
    routine,
    bindings,
    used,
  }));

/** The same routine with functions of the module for the phases that it runs. */
function withCalls(routine: Routine, nameOf: (phase: Phase) => ModulePhase): Routine {
  let runs = false;
  eachStatement(routine.body, (s) => {
    runs ||= s.do === 'run';
  });
  const inside = (body: readonly Statement[]): Statement[] =>
    body.map((s) => {
      if ('body' in s) return { ...s, body: inside(s.body) };
      if (s.do !== 'run') return s;
      const { names, together } = nameOf(s.phase);
      return { do: 'call', function: together, what: names.join(' + '), from: s.from, below: s.below };
    });
  return runs ? { ...routine, body: inside(routine.body) } : routine;
}

/** Every name that a routine reads or stores into, but does not declare: another routine's buffer may be called so. */
function namesUsed({ body }: Routine): Set<string> {
  const used = new Set<string>();
  eachCode(body, (code) => {
    if (code.code === 'name') used.add(code.name);
    if (code.code === 'load') used.add(code.array);
  });
  eachStatement(body, (s) => {
    if (s.do === 'store') used.add(s.array);
    if (s.do === 'repeat') used.add(s.array);
  });
  eachStatement(body, (s) => 'name' in s && s.do !== 'assign' && used.delete(s.name));
  return used;
}
