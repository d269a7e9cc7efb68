/** Kernels that reduce: a tile of results a workgroup. */
import type { Group, ReduceStage } from '../../schedule/stages.ts';
import { storeOutputs } from '../body.ts';
import { below, binary, type Code, ceilDiv, index, type Kernel } from '../kernel.ts';
import { accumulateChunks, openTotals } from './accumulate.ts';
import { type Builder, elementsOf, finishKernel, group, guarded, lane, lanes, unflatten } from './build.ts';
import { epilogue, isFirst, mergeLanes } from './merge.ts';

export const isColumns = ({ groups, space }: ReduceStage, inOrder: Builder['inOrder']): boolean =>
  groups[0]!.kept.includes(inOrder(space).at(-1)!);

/**
 * A workgroup takes as many results as it has room for at `width` lanes each. The lanes of one result are neighbours
 * where the innermost axis is summed; where it is kept, the lanes of neighbouring results are. Either way neighbouring
 * lanes read neighbouring elements.
 */
export function tileKernel(stage: ReduceStage, builder: Builder): Kernel {
  const { nest, tensors, inOrder } = builder;
  const [reduced] = stage.groups as [Group];
  const isAcross = isColumns(stage, inOrder);
  const [kept, over] = [elementsOf(builder, reduced.kept), elementsOf(builder, reduced.over)];
  const width = tensors.width;
  const together = binary('/', lanes, width);
  const number = isAcross ? binary('%', lane, together) : binary('/', lane, width);
  const result = nest.local('result', binary('+', binary('*', group, together), number));
  const item = nest.local('item', isAcross ? binary('/', lane, together) : binary('%', lane, width));
  const isInside = below(result, kept);
  let shared: Kernel['shared'] = [];
  const statements = nest.scope([...reduced.kept], () => {
    unflatten(builder, result, inOrder(reduced.kept));
    const totals = openTotals(builder, reduced);
    guarded(builder, isInside, [], () => {
      accumulateChunks(builder, totals, inOrder(reduced.over), item, over, width, () => {
        storeOutputs(nest, tensors, stage.riders);
      });
    });
    shared = mergeLanes(builder, totals, { width, item, apart: isAcross ? together : index(1) });
    const isOwner: Code = { code: 'logic', type: 'bool', operator: 'and', a: isFirst(item), b: isInside };
    guarded(builder, isOwner, [], () => epilogue(builder, reduced, totals));
  });
  nest.push(...statements);
  const workgroups = ceilDiv(kept, together);
  return finishKernel(builder, stage, workgroups, reduced.kept, shared, [], { kept, over, isAcross });
}
