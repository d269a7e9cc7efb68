/** The types of an op's calls. */
import { intsOf, knownAxes } from '../spec/sizes.ts';
import type { Entry } from '../spec/spec.ts';
import { typesName } from '../spec/words.ts';
import { key, oneOf, record } from './literals.ts';

/** An interface for the runtime's generic types, so that a wrong call does not compile. */
export function typesOf(entry: Entry): {
  name: string;
  isExported: boolean;
  extends: string[];
  properties: { name: string; type: string; isReadonly: boolean }[];
  docs: string[];
} {
  const tensors = entry.arguments.filter((a) => a.kind === 'tensor');
  const attributes = entry.arguments.filter((a) => a.kind !== 'tensor');
  const ints = intsOf(entry.arguments);
  const isInferable = (name: string): boolean =>
    entry.axes.includes(name) &&
    knownAxes(
      tensors,
      ints.filter((int) => int !== name),
    ).has(name);
  const property = (name: string, type: string): { name: string; type: string; isReadonly: boolean } => ({
    name,
    type,
    isReadonly: true,
  });
  return {
    name: typesName(entry.name),
    isExported: true,
    docs: [`What a call of ${entry.name} takes and gives.`],
    extends: ['OpTypes'],
    properties: [
      property('tensors', record(tensors.map((t) => [t.name, t.optional ? "'optional'" : "'required'"]))),
      property(
        'attributes',
        attributes.length === 0
          ? '{}'
          : `{ ${attributes
              .map((a) => {
                const optional = ('default' in a && a.default !== undefined) || isInferable(a.name);
                const type = a.kind === 'bool' ? 'boolean' : 'number';
                return optional ? `${key(a.name)}?: ${type} | undefined` : `${key(a.name)}: ${type}`;
              })
              .join('; ')} }`,
      ),
      property('returns', oneOf(entry.returns.map((r) => r.name))),
      property(
        'differentiableReturns',
        oneOf(entry.returns.filter((r) => r.differentiable).map((r) => r.name)),
      ),
      property('differentiable', oneOf(tensors.filter((t) => t.differentiable).map((t) => t.name))),
      property('layouts', oneOf(entry.layouts.map((order) => order.join(' ')))),
    ],
  };
}
