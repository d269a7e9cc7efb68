/** The shape of all kernels: a workgroup takes a tile of kept indices, and of each a block of elements. */
import type { Axes } from '../../graph/axes.ts';
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
export const isZero = (a: Code): Code => ({ code: 'compare', type: 'bool', operator: '==', a, b: index(0) });

export interface Tile {
  /** Whether neighbouring elements belong to different kept indices. */
  readonly isAcross: boolean;
  /** Which of the lanes that share a kept index this is, and how many lanes the next one is further. */
  readonly item: Code;
  readonly apart: Code;
  /** Whether there is no such kept index. */
  readonly isOutside: Code;
  /** The lane's first element in its block, and where the block ends. */
  readonly start: Code;
  readonly end: Code;
  readonly elements: Walk;
  readonly tiles: NonNullable<Kernel['tiles']>;
}

/**
 * The lanes of one kept index are neighbours where the innermost axis is among `over`; where it is kept, the lanes of
 * neighbouring kept indices are. Either way neighbouring lanes read neighbouring elements. How many lanes share a kept
 * index, and into how many blocks its elements are cut, the runtime chooses: see `planOf` there.
 */
export function openTile(builder: Builder, stage: Stage, space: Axes, keptAxes: Axes, overAxes: Axes): Tile {
  const { nest, tensors, inOrder } = builder;
  const isAcross = keptAxes.includes(inOrder(space).at(-1)!);
  const [kept, over] = [elementsOf(builder, keptAxes), elementsOf(builder, overAxes)];
  const share = tensors.chosen('share');
  const own = ['own.x', 'own.y'].map((id) => name(id, 'index')) as [Code, Code];
  const [item, number] = isAcross ? [own[1], own[0]] : own;
  const result = nest.local('result', binary('+', binary('*', tile, together), number));
  const begin = nest.local('begin', binary('*', block, share));
  const end = nest.local('end', least(binary('+', begin, share), over));
  const start = binary('+', begin, item);
  const elements = planWalk(builder, inOrder(overAxes), width, isJoined(builder, stage, overAxes));
  unflatten(builder, result, inOrder(keptAxes));
  return {
    isAcross,
    item,
    apart: isAcross ? together : index(1),
    isOutside: { code: 'compare', type: 'bool', operator: '>=', a: result, b: kept },
    start: elements.isJoined ? start : nest.local('start', start),
    end,
    elements,
    tiles: { kept, over, isAcross },
  };
}

/** Whether every tensor of a stage has either all of these axes, one after the other, or none. */
function isJoined({ tensors, inOrder }: Builder, stage: Stage, axes: Axes): boolean {
  const wanted = inOrder(axes).join(' ');
  const all = [
    ...inputsOf(expressionsOf(stage)).map(tensors.ofInput),
    ...outputsOf(stage).map(tensors.ofOutput),
  ];
  return all.every((tensor) => {
    const own = tensor.axes.filter((axis) => axes.includes(axis));
    return own.length === 0 || ` ${tensor.axes.join(' ')} `.includes(` ${wanted} `);
  });
}
