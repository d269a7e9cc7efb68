/** One call of an op on any target, with data in and out row-major in the signature's axis order. */

import { checkNames, isSame, readAttributes } from '../runtime/call.ts';
import { fail, NormgradError } from '../runtime/error.ts';
import type {
  CpuDevice,
  DimensionDescription,
  Dtype,
  OpDescription,
  Run,
  Tensor,
  WebGpuDevice,
} from '../runtime/index.ts';
import { inferSizes, physicalDimensions, type Sizes, shapeOf } from '../runtime/sizes.ts';

export interface Shaped {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

type Tensors = { readonly [name: string]: Tensor };

export type Numbers = readonly number[];
export type NamedNumbers = ReadonlyMap<string, Numbers>;
/** A shape, where there is one, must be that of the argument or return. */
export type NamedData = ReadonlyMap<string, Numbers | Shaped>;

export interface CallInputs {
  readonly inputs: ReadonlyMap<string, Shaped>;
  readonly attributes: { readonly [name: string]: unknown };
}

/** Where a call runs. */
export interface Engine {
  readonly device: CpuDevice | WebGpuDevice;
  readonly dtype: Dtype;
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
  { device, dtype }: Engine,
  op: OpDescription,
  { inputs, attributes }: CallInputs,
  layout: string = op.layouts[0]!.join(' '),
): Promise<Session> {
  const order = layout.split(' ');
  const shapes = named(op, () => logicalSizes(op, inputs, attributes));
  const dimensionsOf = (name: string): readonly DimensionDescription[] =>
    [...op.arguments, ...op.returns].flatMap((t) =>
      'dimensions' in t && t.name === name ? [t.dimensions] : [],
    )[0]!;
  const axesOf = (name: string) => dimensionsOf(name).flatMap(({ axes }) => axes);
  const sorted = (name: string) => order.filter((axis) => axesOf(name).includes(axis));
  const tensors: Tensor[] = [];
  /** A tensor shaped like an argument or return. */
  const place = (name: string, data: Numbers): Tensor => {
    const { sizes } = shapes;
    const shape = shapeOf(name, physicalDimensions(dimensionsOf(name), order), sizes);
    const length = shape.reduce((a, b) => a * b, 1);
    if (data.length !== length)
      fail('shape', `${name} has ${length} elements, but ${data.length} were given`);
    const values = permute(data, axesOf(name), sorted(name), sizes);
    const tensor =
      device.kind === 'cpu'
        ? device.tensor(shape, values, dtype)
        : device.tensor(shape, Float32Array.from(values));
    tensors.push(tensor);
    return tensor;
  };
  /** Tensors for some of those known; where none is given, all of them count as zero. */
  const placeAll = (values: NamedData, known: readonly { readonly name: string }[], what: string) => {
    const names = known.map(({ name }) => name);
    checkNames(names, [...values.keys()], what);
    const flat = [...values].map(([name, value]) => {
      if (!('shape' in value)) return [name, value] as const;
      const shape = shapeOf(name, dimensionsOf(name), shapes.sizes);
      if (!isSame(value.shape, shape))
        fail('shape', `the ${what} of ${name} has shape [${value.shape}], expected [${shape}]`);
      return [name, value.data] as const;
    });
    const zeros = names.map((name) => {
      const length = axesOf(name).reduce((n, axis) => n * shapes.sizes.get(axis)!.size, 1);
      return [name, Array.from({ length }, () => 0)] as const;
    });
    const chosen = values.size > 0 ? flat : zeros;
    return Object.fromEntries(chosen.map(([name, data]) => [name, place(name, data)]));
  };
  /** Data in the signature's order. The name of a second-order gradient, `grad_y`, may be that of a cotangent. */
  const read = async (results: Tensors): Promise<Map<string, Numbers>> => {
    const entries = Object.entries(results).map(async ([name, tensor]) => {
      const like = dimensionsOf(name) ? name : name.replace(/^grad_/, '');
      const data = Array.from(await tensor.read());
      return [name, permute(data, sorted(like), axesOf(like), shapes.sizes)] as const;
    });
    return new Map(await Promise.all(entries));
  };
  /** Reads results and frees them. */
  const take = async (results: Tensors): Promise<Map<string, Numbers>> => {
    tensors.push(...Object.values(results));
    return read(results);
  };

  const arguments_ = op.arguments.flatMap((a) => (a.kind === 'tensor' ? [a] : []));
  const differentiable = arguments_.filter((a) => a.differentiable && inputs.has(a.name));
  const returns = op.returns.filter((r) => r.differentiable);
  const forward = named(op, () =>
    Object.fromEntries([...inputs].map(([name, { data }]) => [name, place(name, data)])),
  );
  const run = (await device.run(op, forward, { ...attributes }, { layout, dtype })) as unknown as Run;
  tensors.push(...Object.values(run.outputs));
  const states = arguments_
    .filter((a) => a.state && inputs.has(a.name))
    .map(({ name }) => [name, forward[name]!]);
  return {
    outputs: () => read({ ...run.outputs, ...Object.fromEntries(states) }),
    gradients: async (cotangents, wrt) => {
      const placed = named(op, () => placeAll(cotangents, returns, 'cotangent'));
      return take((await (wrt ? run.backward(placed, wrt) : run.backward(placed))) as Tensors);
    },
    tangents: async (tangents) =>
      take(await run.jvp(named(op, () => placeAll(tangents, differentiable, 'tangent')))),
    second: async (cotangents, cotangents2, wrt) => {
      const first = named(op, () => placeAll(cotangents, returns, 'cotangent'));
      const second = named(op, () => placeAll(cotangents2, differentiable, 'cotangent2'));
      return take((await run.doubleBackward(first, second, wrt)) as Tensors);
    },
    dispose: () => {
      run.dispose();
      for (const tensor of tensors) tensor.dispose();
    },
  };
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

/** The size of every axis, told from shapes in the signature's order. */
function logicalSizes(
  op: OpDescription,
  inputs: ReadonlyMap<string, Shaped>,
  attributes: { readonly [name: string]: unknown },
): { sizes: Sizes } {
  const expected = op.arguments.flatMap((a) => (a.kind === 'tensor' ? [a] : []));
  checkNames(
    expected.map(({ name }) => name),
    [...inputs.keys()],
    'input',
  );
  const missing = expected
    .filter(({ name, optional }) => !optional && !inputs.has(name))
    .map(({ name }) => name);
  if (missing.length > 0) fail('missing', `missing input ${missing.join(', ')}`);
  const sizes: Sizes = new Map();
  readAttributes(op, attributes, sizes);
  for (const { name } of expected) {
    const { shape, data } = inputs.get(name) ?? { shape: [0], data: [] };
    const length = shape.reduce((a, b) => a * b, 1);
    if (length !== data.length)
      fail('shape', `${name} has shape [${shape}], ${length} elements, but ${data.length} were given`);
  }
  const shaped = expected.filter(({ name }) => inputs.has(name));
  try {
    inferSizes(
      shaped.map(({ name, dimensions }) => ({ name, dimensions, shape: inputs.get(name)!.shape })),
      sizes,
    );
  } catch (error) {
    const open = op.arguments.find(
      ({ kind, name }) => kind === 'int' && op.axes.includes(name) && !sizes.has(name),
    );
    if (!open || !(error instanceof NormgradError)) throw error;
    fail(error.code, `${error.message}; the attribute ${open.name} (int) was not given`);
  }
  return { sizes };
}

/** Row-major data over some axes, with the axes in another order. */
function permute(data: Numbers, from: readonly string[], to: readonly string[], sizes: Sizes): Numbers {
  if (from.every((axis, i) => axis === to[i])) return data;
  const size = (axis: string): number => sizes.get(axis)!.size;
  const stride = (axis: string): number =>
    from.slice(from.indexOf(axis) + 1).reduce((n, a) => n * size(a), 1);
  let offsets = [0];
  for (const axis of to) {
    const step = stride(axis);
    offsets = offsets.flatMap((offset) => Array.from({ length: size(axis) }, (_, i) => offset + i * step));
  }
  return offsets.map((offset) => data[offset]!);
}
