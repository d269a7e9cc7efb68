/** The forward graph of every entry against its formulas, evaluated as they are written. */
import { readdirSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lowerEntry } from '../../compiler/graph/formulas.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';
import type { Entry, Variant } from '../../compiler/spec/spec.ts';
import { variantKey, variantsOf } from '../../compiler/spec/variants.ts';
import { callOf, type Sizes, sizesOf } from './calls.ts';
import { evaluate, type Place, type Scope } from './direct.ts';
import { farthest, type Numbers } from './near.ts';
import { outputsOf } from './oracle.ts';

const folder = new URL('../specs/', import.meta.url);
const specs = readdirSync(folder).filter((name) => name.endsWith('.yaml') && name !== 'calls.yaml');
const sources = [
  new URL('../../derivatives.yaml', import.meta.url),
  ...specs.map((name) => new URL(name, folder)),
];

const strided = (data: Numbers, axes: readonly string[], sizes: Sizes) => (at: Place) =>
  data[axes.reduce((offset, axis) => offset * sizes.of.get(axis)! + at.get(axis)!, 0)]!;

/** Returns and updated states. */
function directly(entry: Entry, variant: Variant, sizes: Sizes): Map<string, Numbers> {
  const { inputs, attributes } = callOf(lowerEntry(entry, variant), sizes);
  const names = new Map<string, (at: Place) => number>();
  for (const a of entry.arguments) {
    const tensor = inputs.get(a.name);
    if (a.kind === 'tensor' && tensor) names.set(a.name, strided(tensor.data, a.axes, sizes));
    else if (a.kind !== 'tensor' && a.kind !== 'bool') names.set(a.name, () => Number(attributes[a.name]));
    else if (entry.absent.has(a.name)) names.set(a.name, () => entry.absent.get(a.name)!);
  }
  const scope: Scope = { sizes: sizes.of, names, flags: variant.flags, given: variant.given };
  for (const { name, formula } of entry.forward) {
    const known = new Map<string, number>();
    names.set(name, (at) => {
      const key = [...at].sort().join();
      const value = known.get(key) ?? evaluate(formula, scope, at);
      known.set(key, value);
      return value;
    });
  }
  const over = (axes: readonly string[], f: (at: Place) => number): Numbers =>
    axes
      .reduce<Place[]>(
        (found, axis) =>
          found.flatMap((at) =>
            Array.from({ length: sizes.of.get(axis)! }, (_, i) => new Map([...at, [axis, i]])),
          ),
        [new Map()],
      )
      .map(f);
  const results = new Map(entry.returns.map(({ name, axes }) => [name, over(axes, names.get(name)!)]));
  for (const { name, formula } of entry.update) {
    const state = entry.arguments.find((a) => a.name === name);
    if (state?.kind !== 'tensor' || !inputs.has(name)) continue;
    results.set(
      name,
      over(state.axes, (at) => evaluate(formula, scope, at)),
    );
  }
  return results;
}

for (const source of sources) {
  const file = source.pathname.split('/').at(-1)!;
  const test = suite(`forward, ${file}`);
  for (const entry of parseSpec(readFileSync(source, 'utf8'), file).spec.entries) {
    test(entry.name, () => {
      for (const variant of variantsOf(entry)) {
        const forward = lowerEntry(entry, variant);
        for (const sizes of sizesOf(entry).filter(({ title }) => ['odd', 'ones'].includes(title))) {
          const found = outputsOf(forward, callOf(forward, sizes), sizes);
          for (const [name, numbers] of directly(entry, variant, sizes)) {
            const isKept = !found.has(name); // an update that changes nothing is left out
            // statistics of one element that are divided by none are refused at run time
            if (isKept || numbers.some(Number.isNaN)) continue;
            const wrong = farthest(found.get(name)!, numbers, 1e-9, 1e-3);
            assert.not(wrong, `${variantKey(entry, variant)}, ${sizes.title}: ${name}${wrong}`);
          }
        }
      }
    });
  }
  test.run();
}
