/**
 * What a kernel needs of an earlier kernel's reductions is as small as their results, so all the arithmetic on it is
 * done once, where the reductions finish, and handed over in one packed buffer: fewer bindings, of which devices
 * allow few, and fewer operations for each element.
 */
import { type Axes, sameAxes } from '../graph/axes.ts';
import type { Expr } from '../graph/expr.ts';
import { type Group, handleOf, type Stage } from '../schedule/stages.ts';
import { type Binding, binary, type Code, index, load, times } from './kernel.ts';
import { operands, type Scalar, type Scalars } from './scalar.ts';
import { expressionsOf, inputsOf, outputsOf, type Tensors } from './tensors.ts';

/** The packed values of one group: slot after slot, each over the kept axes. */
export interface Packing {
  readonly kept: readonly string[];
  readonly slots: ReadonlyMap<Scalar, number>;
  readonly buffer: Omit<Binding, 'access'>;
}

export interface Packed {
  readonly buffers: readonly Packing['buffer'][];
  /** What a group has to hand over, if anything. */
  readonly by: (group: Group) => Packing | undefined;
  /** Where a stage finds a value that was handed over. */
  readonly in: (
    stage: Stage,
  ) => (scalar: Scalar) => { readonly packing: Packing; readonly slot: number } | undefined;
}

/** Storage buffers that every device allows a kernel (the default limit of WebGPU). */
const fewBindings = 8;

/** The buffers a stage binds if only what it must take from earlier stages is packed. */
function boundBy(stage: Stage, owners: ReadonlyMap<Expr, Group>): number {
  const read = inputsOf(expressionsOf(stage)).filter((node) => !owners.has(node));
  return read.length + outputsOf(stage).length + 1;
}

export function packSmallValues(
  stages: readonly Stage[],
  scalars: Scalars,
  tensors: Tensors,
  inOrder: (axes: Axes) => string[],
): Packed {
  const owners = new Map<Expr, Group>();
  const slots = new Map<Group, Map<Scalar, number>>();
  const consumed = new Map<Stage, readonly Group[]>();
  for (const stage of stages) {
    const exprs = expressionsOf(stage);
    const groups = [...new Set(inputsOf(exprs).flatMap((node) => owners.get(node) ?? []))];
    consumed.set(stage, groups);
    if (groups.length > 0) {
      const isCrowded = boundBy(stage, owners) > fewBindings;
      for (const expr of exprs) collect(scalars.of(expr), groups, owners, slots, isCrowded);
    }
    if (stage.kind === 'map') continue;
    for (const group of stage.groups)
      for (const output of group.epilogue) owners.set(handleOf(output), group);
  }
  const packings = new Map<Group, Packing>();
  for (const [group, own] of slots) {
    const kept = inOrder(group.kept);
    const length = times(index(own.size), ...kept.map(tensors.size));
    packings.set(group, { kept, slots: own, buffer: tensors.scratch('packed', kept, length) });
  }
  return {
    buffers: [...packings.values()].map(({ buffer }) => buffer),
    by: (group) => packings.get(group),
    in: (stage) => {
      const available = (consumed.get(stage) ?? []).flatMap((group) => packings.get(group) ?? []);
      return (scalar) => {
        const packing = available.find((candidate) => candidate.slots.has(scalar));
        return packing && { packing, slot: packing.slots.get(scalar)! };
      };
    },
  };
}

/**
 * Gives a slot to each largest part that one of the groups can compute: what rests on its results, and where bindings
 * are short, what is merely as small.
 */
function collect(
  root: Scalar,
  groups: readonly Group[],
  owners: ReadonlyMap<Expr, Group>,
  slots: Map<Group, Map<Scalar, number>>,
  isCrowded: boolean,
): void {
  const visit = (scalar: Scalar): void => {
    const group = groupFor(scalar, groups, owners, isCrowded);
    if (!group) {
      operands(scalar).forEach(visit);
      return;
    }
    const own = slots.get(group) ?? new Map<Scalar, number>();
    if (!own.has(scalar)) own.set(scalar, own.size);
    slots.set(group, own);
  };
  visit(root);
}

function groupFor(
  scalar: Scalar,
  groups: readonly Group[],
  owners: ReadonlyMap<Expr, Group>,
  isCrowded: boolean,
): Group | undefined {
  if (scalar.type === 'bool' || scalar.axes.length > Math.max(...groups.map(({ kept }) => kept.length)))
    return undefined;
  const needed = ownersOf(scalar, owners);
  if (needed.size > 1) return undefined;
  const [needs] = needed;
  if (!isCrowded && !holdsScratch(scalar)) return undefined;
  const candidates = needs ? [needs] : scalar.axes.length > 0 ? groups : [];
  return candidates.find(({ kept }) => sameAxes(kept, scalar.axes));
}

/** Whether it rests on a value that no output holds. */
const holdsScratch = (scalar: Scalar): boolean =>
  scalar.is === 'leaf' ? isScratch(scalar.expr) : operands(scalar).some(holdsScratch);

/** The handle of an output names its role too. */
const isScratch = (expr: Expr): boolean =>
  expr.op === 'input' && expr.role === 'scratch' && !expr.of.includes(' ');

function ownersOf(scalar: Scalar, owners: ReadonlyMap<Expr, Group>): Set<Group> {
  const found = new Set<Group>();
  const visit = (inner: Scalar): void => {
    const owner = inner.is === 'leaf' ? owners.get(inner.expr) : undefined;
    if (owner) found.add(owner);
    operands(inner).forEach(visit);
  };
  visit(scalar);
  return found;
}

/** The place of a packed value; `flat` is the flat index over the kept axes. */
export function packedIndex({ kept }: Packing, slot: number, flat: Code, tensors: Tensors): Code {
  return binary('+', times(index(slot), ...kept.map(tensors.size)), flat);
}

export const loadPacked = (packing: Packing, slot: number, flat: Code, tensors: Tensors): Code =>
  load(packing.buffer.name, packedIndex(packing, slot, flat, tensors));
