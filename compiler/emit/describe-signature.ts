/** The arguments and returns of an op's description, as text. */
import type { Argument, Dimension, Return } from '../spec/spec.ts';
import { list, quote, record, strings } from './literals.ts';

export function argumentText(a: Argument): string {
  const parts: [string, string][] = [
    ['kind', quote(a.kind)],
    ['name', quote(a.name)],
  ];
  if (a.kind === 'tensor') {
    parts.push(['dimensions', dimensionsText(a.dimensions)]);
    for (const flag of ['optional', 'state', 'differentiable'] as const)
      if (a[flag]) parts.push([flag, 'true']);
  } else if (a.default !== undefined) {
    parts.push(['default', String(a.default)]);
  }
  return record(parts);
}

export const returnText = ({ name, dimensions, differentiable }: Return): string =>
  record([
    ['name', quote(name)],
    ['dimensions', dimensionsText(dimensions)],
    ...(differentiable ? [['differentiable', 'true'] as const] : []),
  ]);

function dimensionsText(dimensions: readonly Dimension[]): string {
  return list(
    dimensions.map((d) => {
      if (d.kind === 'split') return record([['axes', strings(d.axes)]]);
      return record([['axes', strings([d.axis])], ...(d.kind === 'fold' ? [['fold', 'true'] as const] : [])]);
    }),
  );
}
