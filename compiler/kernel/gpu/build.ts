/** What the parts of a GPU kernel are built from: loops over lanes, positions along axes, and the finished kernel. */
import type { Axes } from '../../graph/axes.ts';
import type { Call } from '../../graph/expr.ts';
import type { Stage } from '../../schedule/stages.ts';
import { createBody, openVariable, type Variable } from '../body.ts';
import { arraysIn, collectBindings, collectUniforms, mapCode, prune } from '../collect.ts';
import {
  type Binding,
  binary,
  type Code,
  index,
  type Kernel,
  name,
  type ReduceFunction,
  type Statement,
  times,
} from '../kernel.ts';
import type { Names } from '../names.ts';
import type { Nest } from '../nest.ts';
import type { Found, Handed, Packed, Packing } from '../pack.ts';
import { formulasOf, reductionsOf, trafficOf } from '../report.ts';
import { createScalars, type Scalars } from '../scalar.ts';
import { operands, type Scalar } from '../scalar-build.ts';
import { expressionsOf, type Tensors } from '../tensors.ts';

/** How many lanes share a kept index, and how many kept indices a workgroup has: decided when a device is known. */
export const width = name('width', 'index');
export const together = name('together', 'index');
/** Elements along the innermost axis that a lane takes at once: four where its size allows. */
const many = name('many', 'index');
/** Workgroups that every device allows along a dimension (WebGPU's default maxComputeWorkgroupsPerDimension). */
export const tilesInRow = 65535;
/** The number of the workgroup's tile, which goes on in a second dimension; of its block; and of all blocks. */
export const tile = binary(
  '+',
  name('group.x', 'index'),
  binary('*', name('group.y', 'index'), index(tilesInRow)),
);
export const block = name('group.z', 'index');
export const blocks = name('groups.z', 'index');

/** What all kernels of one program share. */
export interface Context {
  readonly buffers: readonly Tensor[];
  readonly tensors: Tensors;
  readonly scalars: Scalars;
  readonly packed: PackedHere;
  readonly inOrder: (axes: Axes) => string[];
  /** Whether outputs of one map may go to several kernels. */
  readonly isCut: boolean;
  /** Whether formulas of too many tensors are computed in parts. */
  readonly isInParts: boolean;
  /** What kernels have left for all that run after them. */
  readonly left: Map<Scalar, Handed>;
}

/** What a kernel finds of earlier ones, and what a group has to hand over to later ones. */
export interface PackedHere {
  readonly found: Found;
  readonly by: Packed['by'];
}

export interface Builder extends Context {
  readonly nest: Nest;
  readonly names: Names;
  /** The axis along which lanes take several elements at once. */
  readonly vector: string | undefined;
  /** Of an axis, as lanes count it: along `vector` what is taken at once counts as one. */
  readonly size: (axis: string) => Code;
  /** The local that has the size along `vector`. */
  readonly units: Code;
}

export type Tensor = Omit<Binding, 'access'>;

/** Whether a function is computed of all that a lane takes at once, or of one real at a time, as its helper in WGSL is. */
const computedOf: { readonly [K in Call]: 'lanes' | 'real' } = {
  exp: 'lanes',
  log: 'lanes',
  log1p: 'lanes',
  expm1: 'lanes',
  tanh: 'lanes',
  sigmoid: 'lanes',
  softplus: 'lanes',
  erf: 'real',
  sin: 'real',
  cos: 'real',
  abs: 'lanes',
  sign: 'lanes',
  floor: 'lanes',
  relu: 'lanes',
  min: 'lanes',
  max: 'lanes',
  pow: 'real',
  clamp: 'lanes',
};
const usesThem = (stages: readonly Stage[], handedOver: Iterable<Scalar>): boolean => {
  const computed = stages.flatMap(expressionsOf).map(createScalars().of);
  return [...computed, ...handedOver].some(callsThem);
};

const knownToCall = new WeakMap<Scalar, boolean>();

function callsThem(scalar: Scalar): boolean {
  const known =
    knownToCall.get(scalar) ??
    ((scalar.is === 'call' && computedOf[scalar.fn] === 'real') || operands(scalar).some(callsThem));
  knownToCall.set(scalar, known);
  return known;
}

/** A kernel for stages whose data lie over `space`, which hands values over if it has some of a group. */
export function openKernel(
  context: Context,
  stages: readonly Stage[],
  space: Axes,
  handedOver?: Packing,
): Builder {
  const { tensors, scalars, packed, inOrder } = context;
  const vector = usesThem(stages, handedOver?.slots.keys() ?? []) ? undefined : inOrder(space).at(-1);
  const size = (axis: string): Code => (axis === vector ? units : tensors.size(axis));
  const names = tensors.locals();
  const nest = createBody(tensors, names, { scalars, packed: packed.found, size, isMixed: true });
  const units: Code =
    vector === undefined ? index(1) : nest.local(`some_${vector}`, unitsOf(tensors, vector));
  return { ...context, names, nest, vector, size, units };
}

const unitsOf = (tensors: Tensors, axis: string): Code => binary('/', tensors.size(axis), many);

export function finishKernel(
  { nest, tensors, buffers, left, vector, units }: Builder,
  stages: readonly Stage[],
  tiles: NonNullable<Kernel['tiles']>,
  root: Axes,
  reduction?: Pick<Kernel, 'shared' | 'records'> & { readonly function: ReduceFunction },
  partials?: Tensor,
): Kernel {
  const body = prune(nest.finish());
  const reduce = reduction?.function;
  const all = [...(reduce?.body ?? []), ...body];
  const handedOver = [...left.values()].map(({ packing }) => packing.buffer);
  const bindings = collectBindings(all, [...buffers, ...handedOver, ...(partials ? [partials] : [])]);
  const reduced = arraysIn(reduce?.body ?? []);
  const [first, then] = partition(bindings, ({ name }) => reduced.has(name));
  // outside the kernel there are no locals
  const isUnits = (id: string): boolean => units.code === 'name' && units.name === id;
  const bare = (code: Code): Code =>
    mapCode(code, (id, type) => (isUnits(id) ? unitsOf(tensors, vector!) : name(id, type)));
  const [kept, over] = [bare(tiles.kept), bare(tiles.over)];
  return {
    target: 'gpu',
    bindings: [...first, ...then],
    uniforms: collectUniforms(all, [kept, over], tensors),
    body,
    phases: [],
    shared: reduction?.shared ?? [],
    ...(reduction?.records && { records: reduction.records }),
    ...(reduce && { reduce }),
    tiles: { ...tiles, kept, over },
    ...(vector !== undefined && { vector }),
    reductions: reductionsOf(stages),
    traffic: trafficOf(all, bindings, root),
    formulas: formulasOf(stages),
  };
}

const partition = <T>(list: readonly T[], test: (one: T) => boolean): [T[], T[]] => [
  list.filter(test),
  list.filter((one) => !test(one)),
];

/** Positions along axes from one flat index over them, innermost fastest. */
export function unflatten({ nest, size }: Builder, flat: Code, axes: readonly string[]): void {
  nest.at(axes.join(' '), flat);
  let rest = flat;
  for (let i = axes.length - 1; i >= 0; i--) {
    const position = i === 0 ? rest : binary('%', rest, size(axes[i]!));
    nest.at(axes[i]!, nest.local(`i_${axes[i]}`, position));
    if (i > 0) rest = quotient(nest, rest, size(axes[i]!), i);
  }
}

/** What is left of a position for the axes outside; a local where it is needed more than once. */
const quotient = (nest: Nest, position: Code, size: Code, axesLeft: number): Code => {
  const rest = binary('/', position, size);
  return axesLeft > 1 ? nest.local('rest', rest) : rest;
};

/** As lanes count them. */
export const elementsOf = ({ size, inOrder }: Builder, axes: Axes): Code => times(...inOrder(axes).map(size));
export const realCount = ({ tensors, inOrder }: Builder, axes: Axes): Code => ({
  code: 'real',
  type: 'real',
  x: times(...inOrder(axes).map(tensors.size)),
});

export function forLoop(
  { nest, names }: Builder,
  axes: readonly string[],
  from: Code,
  limit: Code,
  step: Code,
  body: (position: Code) => void,
): void {
  const id = names.fresh('i');
  const statements = nest.scope(axes, () => body(name(id, 'index')));
  nest.push({ do: 'for', axes, name: id, from, below: limit, step, body: statements });
}

/** Elements `step` apart, in memory order over some axes. */
export interface Walk {
  readonly axes: readonly string[];
  readonly step: Code;
  /** Whether every tensor has either all of the axes, one after the other, or none. */
  readonly isJoined: boolean;
  /** By how much the position along each axis grows with a step. */
  readonly strides: readonly Code[];
}

export function planWalk(builder: Builder, axes: readonly string[], step: Code, isJoined: boolean): Walk {
  if (axes.length < 2 || isJoined) return { axes, step, isJoined: true, strides: [] };
  const { nest, size } = builder;
  let rest = step;
  const inner = axes
    .slice(1)
    .reverse()
    .map((axis) => {
      const stride = nest.local('stride', binary('%', rest, size(axis)));
      rest = nest.local('rest', binary('/', rest, size(axis)));
      return stride;
    });
  return { axes, step, isJoined, strides: [rest, ...inner.reverse()] };
}

/** Where along its axes a walk is: variables, or nothing where one position tells. */
export type Positions = readonly Variable[];

/** The positions of an element, to start from. */
export function openWalk(builder: Builder, { axes, isJoined }: Walk, start: Code): Positions {
  if (isJoined) return [];
  const { nest, size } = builder;
  const positions: Variable[] = [];
  let rest = start;
  for (let i = axes.length - 1; i >= 0; i--) {
    const position = i === 0 ? rest : binary('%', rest, size(axes[i]!));
    positions.unshift(openVariable(builder, `i_${axes[i]}`, position));
    if (i > 0) rest = quotient(nest, rest, size(axes[i]!), i);
  }
  return positions;
}

/** Says where the innermost loop is. */
export function locate({ nest }: Builder, { axes, isJoined }: Walk, position: Code, at: Positions): void {
  if (isJoined) nest.at(axes.join(' '), position);
  else for (const [i, axis] of axes.entries()) nest.at(axis, at[i]!);
}

/** Goes from one element to the next; positions are counted up with carry instead of divided out each time. */
export function walk(
  builder: Builder,
  elements: Walk,
  start: Code,
  end: Code,
  at: Positions,
  body: () => void,
): void {
  const { nest, size } = builder;
  const { axes, step, strides } = elements;
  const set = (i: number, operator: '+' | '-', by: Code): Statement => ({
    do: 'assign',
    name: at[i]!.name,
    value: binary(operator, at[i]!, by),
  });
  forLoop(builder, axes, start, end, step, (position) => {
    locate(builder, elements, position, at);
    body();
    for (const i of at.keys()) nest.push(set(i, '+', strides[i]!));
    for (let i = at.length - 1; i > 0; i--) {
      const test: Code = { code: 'compare', type: 'bool', operator: '>=', a: at[i]!, b: size(axes[i]!) };
      nest.push({ do: 'if', test, body: [set(i, '-', size(axes[i]!)), set(i - 1, '+', index(1))] });
    }
  });
}

export function guarded({ nest }: Builder, test: Code, axes: readonly string[], body: () => void): void {
  const statements = nest.scope(axes, body, { pinned: true });
  if (statements.length > 0) nest.push({ do: 'if', test, body: statements });
}
