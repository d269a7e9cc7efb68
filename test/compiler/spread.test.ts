/** GPU kernels as other devices than the one here spread them: workgroups of many lanes, and blocks. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '../../cli/device.ts';
import { type Engine, startSession } from '../../cli/session.ts';
import { lowerEntry } from '../../compiler/graph/formulas.ts';
import type { Entry } from '../../compiler/spec/spec.ts';
import { variantsOf } from '../../compiler/spec/variants.ts';
import { webgpu } from '../../runtime/index.ts';
import { callOf, randomLike, type Sizes } from './calls.ts';
import { farthest } from './near.ts';
import { compileSpec, typescript64 } from './targets.ts';

const text = readFileSync(new URL('../../derivatives.yaml', import.meta.url), 'utf8');
const compiled = await compileSpec(text, { file: 'derivatives.yaml', targets: ['typescript', 'wgsl'] });
const test = suite('spread');

/** A device whose subgroups are said to have this many lanes, so that it is taken for a GPU. */
async function pretending(subgroupMaxSize: number, features: readonly GPUFeatureName[]): Promise<Engine> {
  const { device } = await openDevice({ features });
  for (const feature of features) assert.ok(device.features.has(feature), feature);
  Object.defineProperty(device, 'adapterInfo', { value: { subgroupMaxSize } });
  return { device: webgpu(device), dtype: 'f32' };
}

/** Few kept indices of many elements: along the innermost axis, and along the outermost in sizes that four divides. */
function sizesOf({ axes }: Entry): Sizes[] {
  return [axes.at(-1)!, axes[0]!].map((long, by): Sizes => {
    const of = new Map(axes.map((axis) => [axis, axis === long ? 9000 + 9 * (1 - by) : 4 - (1 - by)]));
    return { title: `${long} is long`, of, folds: new Map([...of].map(([axis, size]) => [axis, [size]])) };
  });
}

/** Training, with and without everything that is optional. */
const variantsToRun = (entry: Entry) => {
  const training = variantsOf(entry).filter(({ flags }) => [...flags.values()].every((flag) => flag));
  return training.filter((_, i) => i === 0 || i === training.length - 1);
};

const engines = [await pretending(32, []), await pretending(32, ['subgroups'])];
const cases = engines.flatMap((engine) => compiled.entries.map((entry) => [engine, entry] as const));
for (const [engine, entry] of cases) {
  test(`${entry.name}, ${engine === engines[0] ? 'without subgroups' : 'with subgroups'}`, async () => {
    const op = compiled.ops.get(entry.name)!;
    for (const sizes of sizesOf(entry)) {
      for (const variant of variantsToRun(entry)) {
        const call = callOf(lowerEntry(entry, variant), sizes);
        const cotangents = randomLike(
          entry.returns.filter((r) => r.differentiable),
          sizes,
          'spread',
        );
        for (const layout of entry.layouts.map((order) => order.join(' '))) {
          const [actual, exact] = [
            await startSession(engine, op, call, layout),
            await startSession(typescript64, op, call, layout),
          ];
          const compare = (a: ReadonlyMap<string, readonly number[]>, b: typeof a): void => {
            for (const [id, expected] of b) {
              const wrong = farthest(a.get(id)!, expected, 1e-4);
              assert.not(wrong, `${sizes.title} [${layout}] ${id}${wrong}`);
            }
          };
          compare(await actual.outputs(), await exact.outputs());
          compare(await actual.gradients(cotangents), await exact.gradients(cotangents));
          for (const session of [actual, exact]) session.dispose();
        }
      }
    }
  });
}

test.run();
