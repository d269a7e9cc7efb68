/** The buffers and numbers of one program: what each is called in code, and what it is to the caller. */

import { type Axes, orderOf } from '../graph/axes.ts';
import { type Expr, topological } from '../graph/expr.ts';
import { outputOf } from '../graph/handles.ts';
import { tensorName } from '../graph/print.ts';
import type { Program, ProgramOutput } from '../schedule/program.ts';
import type { Stage } from '../schedule/stages.ts';
import type { Entry } from '../spec/spec.ts';
import { type Binding, type Code, name, type Role, type Uniform } from './kernel.ts';
import { createNames, type Names } from './names.ts';

type Tensor = Omit<Binding, 'access'>;
type InputNode = Extract<Expr, { op: 'input' }>;

/**
 * How many elements a block of a kept index has, how many partial results there are to take in, and how many elements
 * of a block are mapped afterwards.
 */
export const allChosen = ['share', 'taken', 'mapped'] as const;
export type Chosen = (typeof allChosen)[number];

export interface Tensors {
  readonly ofInput: (node: InputNode) => Tensor;
  readonly ofOutput: (output: ProgramOutput) => Tensor;
  readonly scratch: (base: string, axes: readonly string[], length?: Code, dtype?: 'f64') => Tensor;
  /** A number that only the runtime knows; `$` keeps it apart from the spec's names. */
  readonly decided: (base: string) => Uniform;
  /** Axes in physical order. */
  readonly inOrder: (axes: Axes) => string[];
  readonly size: (axis: string) => Code;
  readonly parameter: (of: string) => Code;
  /** A number that the runtime chooses for each GPU kernel. */
  readonly chosen: (base: Chosen) => Code;
  readonly uniformOf: (code: Code) => Uniform | undefined;
  /** Names for one kernel's locals, none of which shadows a buffer or number. */
  readonly locals: () => Names;
}

/** `layout` is the physical order of the entry's axes, outermost first. */
export function createTensors(entry: Entry, program: Program, layout: readonly string[]): Tensors {
  const names = createNames();
  const tensors = new Map<string, Tensor>();
  const uniforms = new Map<string, Uniform>();
  const uniformsByName = new Map<string, Uniform>();
  const scratchNames: string[] = [];
  const inOrder = orderOf(layout);
  const make = (role: Role, of: string, axes: readonly string[]): Tensor => {
    // a return that forward saved is the same buffer
    const key = `${role === 'saved' ? 'output' : role} ${of}`;
    const known = tensors.get(key);
    if (known) return known;
    const tensor: Tensor = { name: names.fresh(tensorName(role, of)), role, of, axes: inOrder(axes) };
    tensors.set(key, tensor);
    return tensor;
  };
  const states = new Set(entry.arguments.flatMap((a) => (a.kind === 'tensor' && a.state ? [a.name] : [])));
  const argumentRole = (of: string): Role => (states.has(of) ? 'state' : 'input');

  // the same names whatever the program uses, so that equal kernels come out equal
  for (const a of entry.arguments) {
    if (a.kind === 'tensor') make(argumentRole(a.name), a.name, a.axes);
    else if (a.kind !== 'bool' && !entry.axes.includes(a.name)) number(a.name, 'f32');
  }
  for (const axis of entry.axes) number(axis, 'u32');
  for (const r of entry.returns) if (program.direction === 'forward') make('output', r.name, r.axes);

  function add(key: string, uniform: Uniform): Uniform {
    uniforms.set(key, uniform);
    uniformsByName.set(uniform.name, uniform);
    return uniform;
  }

  function number(of: string, type: Uniform['type'], base = of): Code {
    const key = `${type} ${of}`;
    const known = uniforms.get(key) ?? add(key, { name: names.fresh(base), of, type });
    return name(known.name, type === 'u32' ? 'index' : 'real');
  }

  return {
    ofInput: (node) => {
      const output = outputOf(node);
      if (output) return make(output.role as Role, output.of, node.axes);
      return make(node.role === 'input' ? argumentRole(node.of) : node.role, node.of, node.axes);
    },
    ofOutput: (output) => make(output.role, output.of, output.axes),
    scratch: (base, axes, length, dtype) => {
      const id = names.fresh(base);
      scratchNames.push(id);
      return {
        name: id,
        role: 'scratch',
        of: id,
        axes: inOrder(axes),
        ...(length && { length }),
        ...(dtype && { dtype }),
      };
    },
    decided: (base) => {
      const id = names.fresh(base);
      const uniform: Uniform = { name: id, of: `$${id}`, type: 'u32' };
      return add(`u32 ${uniform.of}`, uniform);
    },
    inOrder,
    size: (axis) => number(axis, 'u32'),
    parameter: (of) => number(of, 'f32'),
    chosen: (base) => number(`$${base}`, 'u32', base),
    uniformOf: (code) => (code.code === 'name' ? uniformsByName.get(code.name) : undefined),
    locals: () =>
      createNames([
        ...[...tensors.values(), ...uniforms.values()].map((named) => named.name),
        ...scratchNames,
      ]),
  };
}

/** Every expression a stage computes, including what it reduces. */
export const expressionsOf = (stage: Stage): Expr[] =>
  stage.kind === 'map'
    ? stage.outputs.map(({ expr }) => expr)
    : [
        ...stage.groups.flatMap((g) => [
          ...g.accumulations.map(({ x }) => x),
          ...g.epilogue.map(({ expr }) => expr),
        ]),
        ...stage.riders.map(({ expr }) => expr),
      ];

export const outputsOf = (stage: Stage): ProgramOutput[] =>
  stage.kind === 'map' ? [...stage.outputs] : [...stage.groups.flatMap((g) => g.epilogue), ...stage.riders];

/** Outputs by the space that they fill. */
export function bySpace(outputs: readonly ProgramOutput[], { inOrder }: Tensors): ProgramOutput[][] {
  const spaces = new Map<string, ProgramOutput[]>();
  for (const output of outputs) {
    const key = inOrder(output.axes).join(' ');
    spaces.set(key, [...(spaces.get(key) ?? []), output]);
  }
  return [...spaces.values()];
}

/** The tensors that some expressions read, in a fixed order. */
export const inputsOf = (exprs: readonly Expr[]): InputNode[] =>
  topological(exprs)
    .filter((node): node is InputNode => node.op === 'input')
    .sort((a, b) => (`${a.role} ${a.of}` < `${b.role} ${b.of}` ? -1 : 1));
