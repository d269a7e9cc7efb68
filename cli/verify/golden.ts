/** Vectors that another program computed, against every target. */
import type { Direction } from '../../compiler/spec/spec.ts';
import type { OpDescription } from '../../runtime/index.ts';
import { inferSizes, type Sizes, shapeOf } from '../../runtime/sizes.ts';
import { type CallInputs, type Engine, type NamedNumbers, type Shaped, startSession } from '../session.ts';
import { type Comparison, compareTensors } from './compare.ts';
import type { GoldenCase, Vectors } from './golden-file.ts';
import { problemOf, tolerances } from './kernels.ts';

export interface GoldenCheck extends Comparison {
  readonly what: Direction;
  readonly tolerance: number;
  readonly details: string;
  readonly problem?: string;
}

/** One case in every layout. Rejects where it cannot run. */
export async function checkGolden(
  golden: GoldenCase,
  op: OpDescription,
  engine: Engine,
): Promise<GoldenCheck[]> {
  const call = callOf(golden, op);
  const checks: GoldenCheck[] = [];
  for (const order of op.layouts) {
    const layout = order.join(' ');
    const session = await startSession(engine, op, call, layout);
    const add = (what: Direction, found: NamedNumbers, expected: Vectors): void => {
      const tolerance = tolerances[engine.dtype][what === 'double_backward' ? 'second' : 'first'];
      for (const [name, values] of expected)
        checks.push(
          checkOf(found.get(name), values, what, tolerance, `${golden.id}, ${name}, layout ${layout}`),
        );
    };
    try {
      const { outputs, vjp, jvp, second } = golden;
      if (outputs.size > 0) add('forward', await session.outputs(), outputs);
      if (vjp) add('backward', await session.gradients(vjp.cotangents, [...vjp.grads.keys()]), vjp.grads);
      if (jvp) add('jvp', await session.tangents(jvp.tangents), jvp.expected);
      if (vjp && second)
        add('double_backward', await session.second(vjp.cotangents, second.cotangents), second.grads);
    } finally {
      session.dispose();
    }
  }
  return checks;
}

function checkOf(
  found: readonly number[] | undefined,
  expected: readonly number[],
  what: Direction,
  tolerance: number,
  details: string,
): GoldenCheck {
  if (!found) return problemOf(what, details, 'nothing computes it in this case');
  if (found.length !== expected.length)
    return problemOf(what, details, `it has ${found.length} elements, and the file ${expected.length}`);
  return { ...compareTensors(found, expected), what, tolerance, details };
}

/** Shapes follow from that of the first tensor; a fold keeps its dimensions. */
function callOf({ inputs, attributes, shape }: GoldenCase, op: OpDescription): CallInputs {
  const tensors = op.arguments.flatMap((a) => (a.kind === 'tensor' ? [a] : []));
  const sizes: Sizes = new Map();
  for (const axis of op.axes) {
    const size = attributes[axis];
    if (typeof size === 'number') sizes.set(axis, { size, from: 'the case' });
  }
  const [first] = tensors;
  if (first) inferSizes([{ name: first.name, dimensions: first.dimensions, shape }], sizes);
  const shaped = tensors.flatMap(({ name, dimensions }): (readonly [string, Shaped])[] => {
    const data = inputs.get(name);
    if (!data) return [];
    const unknown = dimensions.filter((d) => d.axes.some((axis) => !sizes.has(axis)));
    // One axis that no other tensor has: what is left of the data.
    const only = unknown.length === 1 && unknown[0]!.axes.length === 1 ? unknown[0]!.axes[0] : undefined;
    if (only !== undefined) {
      const rest = dimensions.filter((d) => !unknown.includes(d)).flatMap((d) => d.axes);
      const size = data.length / rest.reduce((product, axis) => product * sizes.get(axis)!.size, 1);
      sizes.set(only, { size, shape: [size], from: name });
    }
    return [[name, { shape: shapeOf(name, dimensions, sizes), data }]];
  });
  return { inputs: new Map(shaped), attributes };
}
