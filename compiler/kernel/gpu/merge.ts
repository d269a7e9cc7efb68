/** The totals of lanes merged in workgroup memory, and what follows from them. */
import type { Group } from '../../schedule/stages.ts';
import { storeEpilogue } from '../body.ts';
import { binary, type Code } from '../kernel.ts';
import { resultsOf } from '../monoids.ts';
import { type Builder, realCount, width } from './build.ts';
import type { Total, Totals } from './state.ts';

/** Which of the lanes that share a result this is, and how many lanes the next one is further. */
export interface Sharing {
  readonly item: Code;
  /** Which of the results. */
  readonly number: Code;
  readonly apart: Code;
  /** Whether neighbouring elements belong to different results. */
  readonly isAcross: boolean;
}

/** The totals of all lanes that share a result, for each of them. */
export function joined({ value, identity }: Totals, { item, number, apart, isAcross }: Sharing): Code {
  const [outer, inner] = isAcross ? [item, number] : [number, item];
  const lane = binary('+', binary('*', outer, isAcross ? apart : width), inner);
  return { code: 'make', type: value.type, name: 'joined', args: [value, identity, lane, apart] };
}

/** Results of reductions by the totals, at the current kept index. */
export function defineResults(builder: Builder, group: Group, totals: readonly Total[]): void {
  const { nest } = builder;
  for (const { accumulation, parts } of totals) {
    const elements = realCount(builder, group.over);
    for (const { expr, base, value } of resultsOf(accumulation, parts, elements, true))
      nest.define(expr, base, value);
  }
}

/** Stores what follows from a group's results, at the current kept index. */
export function epilogue({ nest, tensors, packed, size }: Builder, group: Group): void {
  storeEpilogue(nest, tensors, group, {
    isStored: ({ role }) => role !== 'scratch',
    packing: packed.by(group),
    size,
    isLossless: true,
  });
}
