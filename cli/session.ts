/** One call of an op on any target, with data in and out row-major in the signature's axis order. */

import { checkNames, isSame, readAttributes } from '../runtime/call.ts';
import { fail, NormgradError } from '../runtime/error.ts';
import type { OpDescription, Run, TensorDescription } from '../runtime/index.ts';
import { inferSizes, type Sizes } from '../runtime/sizes.ts';
import { product } from '../runtime/tensor.ts';
import {
  type Engine,
  type Numbers,
  openTensors,
  type SessionTensors,
  type Tensors,
} from './session-tensors.ts';

export type { Engine };

export interface Shaped {
  readonly shape: readonly number[];
  readonly data: Numbers;
}

export type NamedNumbers = ReadonlyMap<string, Numbers>;
/** A shape, where there is one, must be that of the argument or return. */
export type NamedData = ReadonlyMap<string, Numbers | Shaped>;

export interface CallInputs {
  readonly inputs: ReadonlyMap<string, Shaped>;
  readonly attributes: { readonly [name: string]: unknown };
}

/** A finished forward. Everything rejects with a `NormgradError` whose message starts with the op's name. */
export interface Session {
  /** Returns, and the states given with their new values. */
  readonly outputs: () => Promise<Map<string, Numbers>>;
  readonly gradients: (cotangents: NamedData, wrt?: readonly string[]) => Promise<Map<string, Numbers>>;
  readonly tangents: (tangents: NamedData) => Promise<Map<string, Numbers>>;
  readonly second: (
    cotangents: NamedData,
    cotangents2: NamedData,
    wrt?: readonly string[],
  ) => Promise<Map<string, Numbers>>;
  /** Frees everything. */
  readonly dispose: () => void;
}

/** Runs forward. The layout says in which physical order the op's kernels see the data. */
export async function startSession(
  engine: Engine,
  op: OpDescription,
  call: CallInputs,
  layout: string = op.layouts[0]!.join(' '),
): Promise<Session> {
  const sizes = named(op, () => logicalSizes(op, call));
  const tensors = openTensors(engine, op, sizes, layout.split(' '));
  const inputs = named(op, () =>
    Object.fromEntries([...call.inputs].map(([name, { data }]) => [name, tensors.place(name, data)])),
  );
  const options = { layout, dtype: engine.dtype };
  const run = (await engine.device.run(op, inputs, { ...call.attributes }, options)) as unknown as Run;
  tensors.keep(run.outputs);
  return sessionOf(op, run, inputs, tensors);
}

/** The directions that go on from a forward with these inputs. */
function sessionOf(op: OpDescription, run: Run, inputs: Tensors, tensors: SessionTensors): Session {
  const given = tensorsOf(op).filter(({ name }) => name in inputs);
  const states = given.filter(({ state }) => state).map(({ name }) => [name, inputs[name]!]);
  const differentiable = given.filter((one) => one.differentiable);
  const returns = op.returns.filter((one) => one.differentiable);
  const place = (values: NamedData, known: readonly { readonly name: string }[], what: string) =>
    named(op, () => placeAll(tensors, values, known, what));
  return {
    outputs: () => tensors.read({ ...run.outputs, ...Object.fromEntries(states) }),
    gradients: async (cotangents, wrt) => {
      const placed = place(cotangents, returns, 'cotangent');
      return tensors.take((await (wrt ? run.backward(placed, wrt) : run.backward(placed))) as Tensors);
    },
    tangents: async (tangents) => tensors.take(await run.jvp(place(tangents, differentiable, 'tangent'))),
    second: async (cotangents, cotangents2, wrt) => {
      const first = place(cotangents, returns, 'cotangent');
      const second = place(cotangents2, differentiable, 'cotangent2');
      return tensors.take((await run.doubleBackward(first, second, wrt)) as Tensors);
    },
    dispose: () => {
      run.dispose();
      tensors.dispose();
    },
  };
}

/** Tensors for some of those known; where none is given, all of them count as zero. */
function placeAll(
  tensors: SessionTensors,
  values: NamedData,
  known: readonly { readonly name: string }[],
  what: string,
): Tensors {
  const names = known.map(({ name }) => name);
  checkNames(names, [...values.keys()], what);
  const zeros = (name: string): Numbers => Array.from({ length: product(tensors.shapeOf(name)) }, () => 0);
  const flat = (name: string, value: Numbers | Shaped): Numbers => {
    if (!('shape' in value)) return value;
    const shape = tensors.shapeOf(name);
    if (!isSame(value.shape, shape))
      fail('shape', `the ${what} of ${name} has shape [${value.shape}], expected [${shape}]`);
    return value.data;
  };
  const chosen =
    values.size > 0
      ? [...values].map(([name, value]) => [name, flat(name, value)] as const)
      : names.map((name) => [name, zeros(name)] as const);
  return Object.fromEntries(chosen.map(([name, data]) => [name, tensors.place(name, data)]));
}

/** Puts the op's name before messages, as the runtime does. */
export function named<T>(op: OpDescription, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof NormgradError)) throw error;
    throw new NormgradError(error.code, `${op.name}: ${error.message}`);
  }
}

const tensorsOf = (op: OpDescription): TensorDescription[] =>
  op.arguments.flatMap((argument) => (argument.kind === 'tensor' ? [argument] : []));

/** The size of every axis, told from attributes, and from shapes in the signature's order. */
function logicalSizes(op: OpDescription, { inputs, attributes }: CallInputs): Sizes {
  const expected = tensorsOf(op);
  checkInputs(expected, inputs);
  const sizes: Sizes = new Map();
  readAttributes(op, attributes, sizes);
  const given = expected.flatMap(({ name, dimensions }) => {
    const input = inputs.get(name);
    return input ? [{ ...input, name, dimensions }] : [];
  });
  for (const { name, shape, data } of given) {
    const length = product(shape);
    if (length !== data.length)
      fail('shape', `${name} has shape [${shape}], ${length} elements, but ${data.length} were given`);
  }
  try {
    inferSizes(given, sizes);
  } catch (error) {
    const open = op.arguments.find(
      ({ kind, name }) => kind === 'int' && op.axes.includes(name) && !sizes.has(name),
    );
    if (!open || !(error instanceof NormgradError)) throw error;
    fail(error.code, `${error.message}; the attribute ${open.name} (int) was not given`);
  }
  return sizes;
}

function checkInputs(expected: readonly TensorDescription[], inputs: CallInputs['inputs']): void {
  const names = expected.map(({ name }) => name);
  checkNames(names, [...inputs.keys()], 'input');
  const missing = expected
    .filter(({ name, optional }) => !optional && !inputs.has(name))
    .map(({ name }) => name);
  if (missing.length > 0) fail('missing', `missing input ${missing.join(', ')}`);
}
