/** What the bodies of all kernels share: finding leaves in buffers, and storing outputs. */
import { invariant } from '../diagnostics.ts';
import type { Expr } from '../graph/expr.ts';
import { handleOf } from '../graph/handles.ts';
import type { ProgramOutput } from '../schedule/program.ts';
import type { Group } from '../schedule/stages.ts';
import { type Code, load } from './kernel.ts';
import type { Names } from './names.ts';
import { createNest, type Nest, type NestOptions } from './nest.ts';
import type { Place } from './nest-frames.ts';
import { type Found, type Packing, packedIndex } from './pack.ts';
import { createScalars, type Scalars } from './scalar.ts';
import type { Tensors } from './tensors.ts';

export interface BodyOptions extends Partial<Pick<NestOptions, 'size' | 'isMixed' | 'namesRows' | 'found'>> {
  readonly scalars?: Scalars;
  readonly packed?: Found | undefined;
}

/** A nest whose leaves are the program's buffers and numbers, and which finds what was packed for it. */
export function createBody(
  tensors: Tensors,
  names: Names,
  { scalars = createScalars(), packed, size = tensors.size, ...options }: BodyOptions = {},
): Nest {
  const leaf = (expr: Expr, { flat, type }: Place): Code => {
    if (expr.op === 'size') return { code: 'real', type: 'real', x: tensors.size(expr.axis) };
    if (expr.op === 'parameter') return tensors.parameter(expr.name);
    invariant(expr.op === 'input', `the result of ${expr.op} is not known here`);
    const tensor = tensors.ofInput(expr);
    return load(tensor.name, flat(tensor.axes), type(tensor.axes));
  };
  const found: NestOptions['found'] = (scalar, { flat, type }) => {
    const at = packed?.(scalar);
    if (!at) return undefined;
    const { packing, slot } = at;
    const index = packedIndex(packing, slot, flat(packing.kept), size);
    return load(packing.buffer.name, index, type(packing.kept));
  };
  return createNest({ scalars, names, size, leaf, found, ...options });
}

export type Variable = Extract<Code, { code: 'name' }>;

/** Declares a variable that begins with a value. */
export function openVariable(
  { nest, names }: { readonly nest: Nest; readonly names: Names },
  base: string,
  value: Code,
): Variable {
  const id = names.fresh(base);
  nest.push({ do: 'var', name: id, value });
  return { code: 'name', type: value.type, name: id };
}

/** Stores outputs at the current element. Updates all read the old state, so nothing is stored before all is read. */
export function storeOutputs(nest: Nest, tensors: Tensors, outputs: readonly ProgramOutput[]): void {
  const updates = outputs.some(({ role }) => role === 'state');
  const values = outputs.map((output) => {
    const value = nest.value(output.expr);
    return updates ? nest.local(output.of, value) : value;
  });
  for (const [i, output] of outputs.entries()) {
    const tensor = tensors.ofOutput(output);
    nest.push({ do: 'store', array: tensor.name, index: nest.flat(tensor.axes), value: values[i]! });
  }
}

export interface EpilogueOptions {
  readonly isStored: (output: ProgramOutput) => boolean;
  /** What the group hands over besides. */
  readonly packing?: Packing | undefined;
  readonly size?: Tensors['size'];
  /** Whether tensors hold all the digits that are computed with. */
  readonly isLossless?: boolean;
}

/** Computes what follows from a group's results at the current kept index, and lets later stages here use it. */
export function storeEpilogue(
  nest: Nest,
  tensors: Tensors,
  { epilogue }: Group,
  { isStored, packing, size = tensors.size, isLossless = false }: EpilogueOptions,
): void {
  const store = (output: ProgramOutput, value: Code): Code => {
    const { name } = tensors.ofOutput(output);
    const index = nest.flat(tensors.ofOutput(output).axes);
    nest.push({ do: 'store', array: name, index, value });
    return load(name, index);
  };
  const isReadBack = (output: ProgramOutput): boolean => output.isReadBack === true && !isLossless;
  const values = epilogue.map((output) => nest.local(output.of, nest.value(output.expr)));
  for (const [i, output] of epilogue.entries()) {
    if (output.role === 'state') continue;
    const value = isReadBack(output) ? store(output, values[i]!) : values[i]!;
    nest.define(handleOf(output), output.of, () => value);
  }
  const packed = [...(packing?.slots ?? [])].map(([scalar, slot]) => ({ slot, value: nest.scalar(scalar) }));
  for (const [i, output] of epilogue.entries())
    if (isStored(output) && !isReadBack(output)) store(output, values[i]!);
  for (const { slot, value } of packed) {
    const at = packedIndex(packing!, slot, nest.flat(packing!.kept), size);
    nest.push({ do: 'store', array: packing!.buffer.name, index: at, value });
  }
}
