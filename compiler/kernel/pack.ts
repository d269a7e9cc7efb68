/**
 * What a kernel needs of an earlier kernel's reductions is as small as their results, so all the arithmetic on it is
 * done once, where the reductions finish, and handed over in one packed buffer: fewer bindings, of which devices
 * allow few, and fewer operations for each element.
 */
import { type Axes, sameAxes } from '../graph/axes.ts';
import { type Expr, isReduction } from '../graph/expr.ts';
import { handleOf, isBareScratch, isHandle } from '../graph/handles.ts';
import type { Group, Stage } from '../schedule/stages.ts';
import { boundBy, mostStorageBuffers } from './bound.ts';
import { type Binding, binary, type Code, index, times } from './kernel.ts';
import type { Scalars } from './scalar.ts';
import { operands, type Scalar } from './scalar-build.ts';
import { expressionsOf, inputsOf, type Tensors } from './tensors.ts';

/** The packed values of one owner: slot after slot, each over the kept axes, and so many elements between slots. */
export interface Packing {
  readonly kept: readonly string[];
  readonly gap: number;
  readonly slots: ReadonlyMap<Scalar, number>;
  readonly buffer: Omit<Binding, 'access'>;
}

export interface Packed {
  readonly buffers: readonly Packing['buffer'][];
  /** What is to be handed over, if anything. */
  readonly by: (owner: Owner) => Packing | undefined;
  readonly in: (stage: Stage) => Found;
}

/** A value that was handed over. */
export interface Handed {
  readonly packing: Packing;
  readonly slot: number;
}

/** Where a stage finds a value that was handed over. */
export type Found = (scalar: Scalar) => Handed | undefined;

/**
 * What is packed: the bare results; all that rests on them; all that is as small and takes computing; or all that is as
 * small, for stages that would bind too much. The more is packed, the more the earlier kernel has to bind itself. What is
 * prepared for a stage is all that is as small; of the groups it may be the bare results.
 */
type Extent = 'results' | 'dependents' | 'computed' | 'everything' | 'prepared';

/** What computes for a stage all that is as small as these axes, where no reduction does. */
export interface Preparation {
  readonly kind: 'preparation';
  readonly kept: Axes;
}

/** What hands values over. */
export type Owner = Group | Preparation;

const isPreparation = (owner: Owner): owner is Preparation => 'kind' in owner;

type Slots = Map<Owner, Map<Scalar, number>>;

export interface PackOptions {
  /** Of the buffer, if its values need more digits than the data has. */
  readonly dtype?: 'f64' | undefined;
  /** Elements between slots, for targets where it matters that these do not share places in a cache. */
  readonly gap?: number;
  /** Whether a kernel may bind as many buffers as it likes. */
  readonly isUnbound?: boolean;
  /** Whether a stage has the results of a group at hand. */
  readonly isAtHand?: (stage: Stage, group: Group) => boolean;
  readonly preparedFor?: (stage: Stage) => Preparation | undefined;
}

/** Chooses what each stage computes of small values, and what it finds where an earlier one has handed it over. */
export function packSmallValues(
  stages: readonly Stage[],
  scalars: Scalars,
  tensors: Tensors,
  options: PackOptions = {},
): Packed {
  const { slots, consumed } = chooseSlots(stages, scalars, options);
  const packings = packingsOf(slots, tensors, options);
  return {
    buffers: [...packings.values()].map(({ buffer }) => buffer),
    by: (owner) => packings.get(owner),
    in: (stage) => {
      const places = new Map<Scalar, Handed>();
      for (const owner of consumed.get(stage) ?? []) {
        const packing = packings.get(owner);
        for (const [scalar, slot] of packing?.slots ?? [])
          if (!places.has(scalar)) places.set(scalar, { packing: packing!, slot });
      }
      return (scalar) => places.get(scalar);
    },
  };
}

/** What is handed over by whom, and from whom each stage takes it. */
function chooseSlots(
  stages: readonly Stage[],
  scalars: Scalars,
  { isUnbound = false, isAtHand = () => false, preparedFor = () => undefined }: PackOptions,
): { readonly slots: Slots; readonly consumed: ReadonlyMap<Stage, readonly Owner[]> } {
  const groups = new Map<Expr, Group>();
  const slots: Slots = new Map();
  const consumed = new Map<Stage, readonly Owner[]>();
  for (const stage of stages) {
    const exprs = expressionsOf(stage);
    const own = preparedFor(stage);
    const read = new Set(inputsOf(exprs).flatMap((node) => groups.get(node) ?? []));
    const owners = [...(own ? [own] : []), ...[...read].filter((group) => !isAtHand(stage, group))];
    consumed.set(stage, owners);
    if (owners.length > 0) {
      const roots = exprs.map(scalars.of);
      const fits = (extent: Extent): boolean => {
        const wanted: Slots = new Map();
        for (const root of roots) collect(root, owners, groups, wanted, extent);
        return [...wanted].every(([owner, values]) => fitsInto(owner, values.keys(), stages));
      };
      const extents = extentsFor(stage, own !== undefined, isUnbound);
      const extent = extents.slice(0, -1).find(fits) ?? extents.at(-1)!;
      for (const root of roots) collect(root, owners, groups, slots, extent);
    }
    if (stage.kind === 'map') continue;
    for (const group of stage.groups)
      for (const output of group.epilogue) groups.set(handleOf(output), group);
  }
  return { slots, consumed };
}

/** How much to pack for a stage, the most first; the last of them whether it fits or not. */
function extentsFor(stage: Stage, isPrepared: boolean, isUnbound: boolean): readonly Extent[] {
  if (isPrepared) return ['everything', 'prepared'];
  if (isUnbound) return ['computed'];
  const bindsTooMuch = boundBy(stage) > mostStorageBuffers;
  return bindsTooMuch ? ['everything', 'dependents', 'results'] : ['dependents', 'results'];
}

function packingsOf(slots: Slots, tensors: Tensors, { gap = 0, dtype }: PackOptions): Map<Owner, Packing> {
  const packings = new Map<Owner, Packing>();
  for (const [owner, own] of slots) {
    const kept = tensors.inOrder(owner.kept);
    const length = packedLength(own.size, gap, kept, tensors.size);
    packings.set(owner, { kept, gap, slots: own, buffer: tensors.scratch('packed', kept, length, dtype) });
  }
  return packings;
}

/** Gives a slot to each largest part that one of the owners can compute; `groups` are those of what is read. */
function collect(
  root: Scalar,
  owners: readonly Owner[],
  groups: ReadonlyMap<Expr, Group>,
  slots: Slots,
  extent: Extent,
): void {
  const seen = new Set<Scalar>();
  const visit = (scalar: Scalar): void => {
    if (seen.has(scalar)) return;
    seen.add(scalar);
    const owner = ownerFor(scalar, owners, groups, extent);
    if (!owner) {
      operands(scalar).forEach(visit);
      return;
    }
    const own = slots.get(owner) ?? new Map<Scalar, number>();
    if (!own.has(scalar)) own.set(scalar, own.size);
    slots.set(owner, own);
  };
  visit(root);
}

function ownerFor(
  scalar: Scalar,
  owners: readonly Owner[],
  groups: ReadonlyMap<Expr, Group>,
  extent: Extent,
): Owner | undefined {
  if (scalar.type === 'bool' || scalar.axes.length > Math.max(...owners.map(({ kept }) => kept.length)))
    return undefined;
  // what this stage itself reduces is not known earlier
  if (leavesOf(scalar).some(isReduction)) return undefined;
  // what an earlier map wrote, only kernels after that can read
  if (leavesOf(scalar).some((leaf) => isHandle(leaf) && !groups.has(leaf))) return undefined;
  const needed = groupsOf(scalar, groups);
  if (needed.size > 1) return undefined;
  const [needs] = needed;
  const isBare = extent === 'results' || (extent === 'prepared' && needs !== undefined);
  if (isBare && !(scalar.is === 'leaf' && isScratch(scalar.expr))) return undefined;
  if (extent === 'dependents' && !holdsScratch(scalar)) return undefined;
  if (extent === 'computed' && operands(scalar).length === 0 && !holdsScratch(scalar)) return undefined;
  const preparation = owners.find(isPreparation);
  const free = preparation ? [preparation] : owners;
  const candidates = needs ? owners.filter((owner) => owner === needs) : scalar.axes.length > 0 ? free : [];
  return candidates.find(({ kept }) => sameAxes(kept, scalar.axes));
}

/** Whether the kernel of a group can bind what it needs to compute these too; what is prepared has as many as it takes. */
function fitsInto(owner: Owner, packed: Iterable<Scalar>, stages: readonly Stage[]): boolean {
  if (isPreparation(owner)) return true;
  const producer = stages.find((stage) => stage.kind === 'reduce' && stage.groups.includes(owner))!;
  const own = inputsOf(expressionsOf(producer));
  const needed = [...packed].flatMap(leavesOf).filter((leaf) => leaf.op === 'input' && !isHandle(leaf));
  const more = new Set(needed.filter((leaf) => !own.some((node) => node === leaf)));
  return boundBy(producer) + more.size + 1 <= mostStorageBuffers;
}

/** Whether it rests on a value that no output holds. */
const holdsScratch = (scalar: Scalar): boolean => leavesOf(scalar).some(isScratch);

const isScratch = (expr: Expr): boolean => expr.op === 'input' && isBareScratch(expr);

const groupsOf = (scalar: Scalar, groups: ReadonlyMap<Expr, Group>): Set<Group> =>
  new Set(leavesOf(scalar).flatMap((leaf) => groups.get(leaf) ?? []));

const knownLeaves = new WeakMap<Scalar, readonly Expr[]>();

/** The distinct leaves of a formula, whose parts may be shared many times. */
export function leavesOf(scalar: Scalar): readonly Expr[] {
  if (scalar.is === 'leaf') return [scalar.expr];
  const known = knownLeaves.get(scalar) ?? [...new Set(operands(scalar).flatMap(leavesOf))];
  knownLeaves.set(scalar, known);
  return known;
}

/** The names of the tensors that a value is computed from. */
export const inputsIn = (scalar: Scalar): string[] =>
  leavesOf(scalar).flatMap((leaf) => (leaf.op === 'input' ? `${leaf.role} ${leaf.of}` : []));

/** The place of a packed value; `flat` is the flat index over the kept axes. */
export function packedIndex({ kept, gap }: Packing, slot: number, flat: Code, size: Tensors['size']): Code {
  return binary('+', packedLength(slot, gap, kept, size), flat);
}

/** How many elements so many slots have. */
export const packedLength = (
  slots: number,
  gap: number,
  kept: readonly string[],
  size: Tensors['size'],
): Code => binary('+', times(index(slots), ...kept.map(size)), index(slots * gap));
