/** The shape of all kernels: a workgroup takes a tile of kept indices, and of each a block of elements. */
import { type Axes, axesOf } from '../../graph/axes.ts';
import type { Stage } from '../../schedule/stages.ts';
import { binary, type Code, index, type Kernel, least, name } from '../kernel.ts';
import { expressionsOf, inputsOf, outputsOf } from '../tensors.ts';
import {
  type Builder,
  block,
  elementsOf,
  planWalk,
  tile,
  together,
  unflatten,
  type Walk,
  width,
} from './build.ts';

export const both = (a: Code, b: Code): Code => ({ code: 'logic', type: 'bool', operator: 'and', a, b });
export const either = (a: Code, b: Code): Code => ({ code: 'logic', type: 'bool', operator: 'or', a, b });
export const equalsZero = (a: Code): Code => ({
  code: 'compare',
  type: 'bool',
  operator: '==',
  a,
  b: index(0),
});

export interface Tile {
  /** Whether neighbouring elements belong to different kept indices. */
  readonly isAcross: boolean;
  /** The lane's kept index. */
  readonly result: Code;
  /** Which of the lanes that share a kept index this is, and how many lanes the next one is further. */
  readonly item: Code;
  /** Which of the workgroup's kept indices. */
  readonly number: Code;
  readonly apart: Code;
  /** Whether there is no such kept index. */
  readonly isOutside: Code;
  readonly elements: Walk;
  readonly tiles: NonNullable<Kernel['tiles']>;
}

/**
 * The lanes of one kept index are neighbours where the innermost axis is among `over`; where it is kept, the lanes of
 * neighbouring kept indices are. Either way neighbouring lanes read neighbouring elements. How many lanes share a kept
 * index, and into how many blocks its elements are cut, the runtime chooses: see `planOf` in `runtime/model.ts`. In a
 * function the kept index is `given`.
 */
export function openTile(
  builder: Builder,
  stages: readonly Stage[],
  space: Axes,
  keptAxes: Axes,
  overAxes: Axes,
  given?: Code,
): Tile {
  const { nest, inOrder } = builder;
  const isAcross = keptAxes.includes(inOrder(space).at(-1)!);
  const [kept, over] = [elementsOf(builder, keptAxes), elementsOf(builder, overAxes)];
  const own = ['own.x', 'own.y'].map((id) => name(id, 'index')) as [Code, Code];
  const [item, number] = isAcross ? [own[1], own[0]] : own;
  const result = given ?? nest.local('result', binary('+', binary('*', tile, together), number));
  const elements = planWalk(builder, inOrder(overAxes), width, isJoined(builder, stages, overAxes));
  unflatten(builder, result, inOrder(keptAxes));
  return {
    isAcross,
    result,
    item,
    number,
    apart: isAcross ? together : index(1),
    isOutside: { code: 'compare', type: 'bool', operator: '>=', a: result, b: kept },
    elements,
    tiles: { kept, over, isAcross },
  };
}

/** A lane's first element in its block of so many, and where the block ends. */
export function rangeOf(
  { nest, tensors }: Builder,
  { item, elements, tiles: { over } }: Tile,
  length: 'share' | 'mapped' = 'share',
): readonly [start: Code, end: Code] {
  const share = tensors.chosen(length);
  const begin = nest.local('begin', binary('*', block, share));
  const end = nest.local('end', least(binary('+', begin, share), over));
  const start = binary('+', begin, item);
  return [elements.isJoined ? start : nest.local('start', start), end];
}

/** Whether every tensor of some stages has either all of these axes, one after the other, or none. */
function isJoined({ inOrder }: Builder, stages: readonly Stage[], axes: Axes): boolean {
  const wanted = inOrder(axes).join(' ');
  const all = [...inputsOf(stages.flatMap(expressionsOf)), ...stages.flatMap(outputsOf)];
  return all.every((tensor) => {
    const own = tensor.axes.filter((axis) => axes.includes(axis));
    return own.length === 0 || ` ${inOrder(axesOf(tensor.axes)).join(' ')} `.includes(` ${wanted} `);
  });
}
