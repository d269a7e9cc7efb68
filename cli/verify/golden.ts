/** Vectors that another program computed, against every target. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Direction } from '../../compiler/spec/spec.ts';
import type { OpDescription } from '../../runtime/index.ts';
import { inferSizes, type Sizes, shapeOf } from '../../runtime/sizes.ts';
import { Failure, reasonOf, UsageError } from '../io.ts';
import { parseJson, readNumber } from '../json.ts';
import { type CallInputs, type Engine, type NamedNumbers, type Shaped, startSession } from '../session.ts';
import { type Comparison, compareTensors } from './compare.ts';
import { tolerances } from './kernels.ts';

/** By name; null is not given. Numbers are row-major in the signature's axis order. */
interface Data {
  readonly [name: string]: readonly (number | string)[] | null;
}

/**
 * One case. The rest of its members are attributes by name. Cotangents and tangents of a return `y` are called `dy`;
 * `shape` is that of the first tensor argument.
 */
interface GoldenCase {
  readonly id?: string;
  readonly shape: readonly number[];
  readonly inputs: Data;
  readonly outputs?: Data;
  readonly vjp?: { readonly grads: Data } & { readonly [name: string]: Data | Data[string] };
  readonly jvp?: { readonly tangents: Data } & { readonly [name: string]: Data | Data[string] };
  readonly double_backward?: { readonly cotangents: Data; readonly grads: Data };
}

export interface Golden {
  readonly op: string;
  readonly file: string;
  readonly cases: readonly GoldenCase[];
}

/** Throws where the file is not one of golden vectors. */
export async function readGolden(file: string): Promise<Golden> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot read ${file}: ${reasonOf(error)}`);
  });
  const { op, cases } = (parseJson(text, file) ?? {}) as { op?: unknown; cases?: unknown };
  const isCase = (c: unknown): boolean =>
    typeof c === 'object' &&
    c !== null &&
    'shape' in c &&
    Array.isArray(c.shape) &&
    'inputs' in c &&
    typeof c.inputs === 'object';
  if (!Array.isArray(cases) || !cases.every(isCase))
    throw new Failure(`${file}: expected {"cases": [{"shape": […], "inputs": {…}, "outputs": {…}, …}]}`);
  return {
    op: typeof op === 'string' ? op : basename(file).replace(/\.\w+$/, ''),
    file,
    cases: cases as GoldenCase[],
  };
}

export interface GoldenCheck extends Comparison {
  readonly what: Direction;
  readonly tolerance: number;
  readonly details: string;
}

const numbersOf = (data: Data | undefined): Map<string, number[]> =>
  new Map(
    Object.entries(data ?? {}).flatMap(([name, values]) =>
      values === null ? [] : [[name, values.map((value) => readNumber(value) ?? Number.NaN)] as const],
    ),
  );

/** What a case has for the returns, under the names `dy`. */
const ofReturns = (op: OpDescription, data: { readonly [name: string]: unknown }): Map<string, number[]> =>
  numbersOf(
    Object.fromEntries(
      op.returns.flatMap(({ name }) => (Array.isArray(data[`d${name}`]) ? [[name, data[`d${name}`]]] : [])),
    ) as Data,
  );

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
    const add = (what: Direction, found: NamedNumbers, expected: ReadonlyMap<string, number[]>): void => {
      const tolerance = tolerances[engine.dtype][what === 'double_backward' ? 'second' : 'first'];
      for (const [name, values] of expected) {
        const details = `${golden.id ?? 'a case'}, ${name}, layout ${layout}`;
        checks.push({ ...compareTensors(found.get(name) ?? [], values), what, tolerance, details });
      }
    };
    try {
      const { vjp, jvp, double_backward: double } = golden;
      if (golden.outputs) add('forward', await session.outputs(), numbersOf(golden.outputs));
      if (vjp) {
        const expected = numbersOf(vjp.grads);
        add('backward', await session.gradients(ofReturns(op, vjp), [...expected.keys()]), expected);
      }
      if (jvp) add('jvp', await session.tangents(numbersOf(jvp.tangents)), ofReturns(op, jvp));
      if (double && vjp) {
        const found = await session.second(ofReturns(op, vjp), numbersOf(double.cotangents));
        const returns = op.returns.map(({ name }) => name);
        const expected = [...numbersOf(double.grads)].map(([name, values]) => {
          const of = returns.find((ret) => name === `d${ret}`);
          return [of === undefined ? name : `grad_${of}`, values] as const;
        });
        add('double_backward', found, new Map(expected));
      }
    } finally {
      session.dispose();
    }
  }
  return checks;
}

/** Shapes follow from that of the first tensor; a fold keeps its dimensions. */
function callOf(golden: GoldenCase, op: OpDescription): CallInputs {
  const tensors = op.arguments.flatMap((a) => (a.kind === 'tensor' ? [a] : []));
  const numbers = numbersOf(golden.inputs);
  const others = Object.entries(golden as unknown as { readonly [name: string]: unknown });
  const names = op.arguments.filter(({ kind }) => kind !== 'tensor').map(({ name }) => name);
  const attributes = Object.fromEntries(others.filter(([name]) => names.includes(name)));
  const sizes: Sizes = new Map();
  for (const axis of op.axes) {
    const size = attributes[axis];
    if (typeof size === 'number') sizes.set(axis, { size, from: 'the case' });
  }
  const [first] = tensors;
  if (first) inferSizes([{ name: first.name, dimensions: first.dimensions, shape: golden.shape }], sizes);
  const shaped = tensors.flatMap(({ name, dimensions }): (readonly [string, Shaped])[] => {
    const data = numbers.get(name);
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
