/** The tensors of one call: data goes in and comes out row-major in the signature's axis order, whatever the layout. */
import { arrange } from '../compiler/graph/interpret.ts';
import { fail } from '../runtime/error.ts';
import type { CpuDevice, Dtype, OpDescription, Tensor, WebGpuDevice } from '../runtime/index.ts';
import { physicalDimensions, type Sizes, shapeOf } from '../runtime/sizes.ts';
import { product } from '../runtime/tensor.ts';

/** Where a call runs. */
export interface Engine {
  readonly device: CpuDevice | WebGpuDevice;
  readonly dtype: Dtype;
}

export type Numbers = readonly number[];

export type Tensors = { readonly [name: string]: Tensor };

export interface SessionTensors {
  /** The shape of an argument or return in the signature's order. */
  readonly shapeOf: (name: string) => number[];
  /** A tensor like an argument or return; throws where the data is not of its length. */
  readonly place: (name: string, data: Numbers) => Tensor;
  readonly read: (results: Tensors) => Promise<Map<string, Numbers>>;
  /** Has these freed with all others. */
  readonly keep: (results: Tensors) => void;
  /** Reads results, and keeps them. */
  readonly take: (results: Tensors) => Promise<Map<string, Numbers>>;
  /** Frees everything. */
  readonly dispose: () => void;
}

/** On the device, axes are in the physical `order` of a layout. */
export function openTensors(
  { device, dtype }: Engine,
  op: OpDescription,
  sizes: Sizes,
  order: readonly string[],
): SessionTensors {
  const tensors: Tensor[] = [];
  const { isKnown, dimensionsOf, axesOf } = dimensionsIn(op);
  const physicalAxesOf = (name: string): string[] => order.filter((axis) => axesOf(name).includes(axis));
  const permute = permuteBy(sizes);
  const place = (name: string, data: Numbers): Tensor => {
    const shape = shapeOf(name, physicalDimensions(dimensionsOf(name), order), sizes);
    const length = product(shape);
    if (data.length !== length)
      fail('shape', `${name} has ${length} elements, but ${data.length} were given`);
    const values = permute(data, axesOf(name), physicalAxesOf(name));
    const tensor =
      device.kind === 'cpu'
        ? device.tensor(shape, values, dtype)
        : device.tensor(shape, Float32Array.from(values));
    tensors.push(tensor);
    return tensor;
  };
  /** The name of a second-order gradient, `grad_y`, may be that of a cotangent. */
  const readOne = async (name: string, tensor: Tensor) => {
    const like = isKnown(name) ? name : name.replace(/^grad_/, '');
    const data = Array.from(await tensor.read());
    return [name, permute(data, physicalAxesOf(like), axesOf(like))] as const;
  };
  const read = async (results: Tensors): Promise<Map<string, Numbers>> =>
    new Map(await Promise.all(Object.entries(results).map(([name, tensor]) => readOne(name, tensor))));
  const keep = (results: Tensors): void => {
    tensors.push(...Object.values(results));
  };
  return {
    shapeOf: (name) => shapeOf(name, dimensionsOf(name), sizes),
    place,
    read,
    keep,
    take: (results) => {
      keep(results);
      return read(results);
    },
    dispose: () => {
      for (const tensor of tensors) tensor.dispose();
    },
  };
}

/** Dimensions and axes of an op's arguments and returns, as its signature has them. */
function dimensionsIn(op: OpDescription) {
  const tensors = op.arguments.flatMap((argument) => (argument.kind === 'tensor' ? [argument] : []));
  const known = new Map([...op.returns, ...tensors].map(({ name, dimensions }) => [name, dimensions]));
  const dimensionsOf = (name: string) => known.get(name)!;
  return {
    isKnown: (name: string): boolean => known.has(name),
    dimensionsOf,
    axesOf: (name: string): string[] => dimensionsOf(name).flatMap(({ axes }) => [...axes]),
  };
}

/** What brings row-major data into another order of its axes. */
function permuteBy(sizes: Sizes) {
  const elements = new Map([...sizes].map(([axis, { size }]) => [axis, size]));
  return (data: Numbers, from: readonly string[], to: readonly string[]): Numbers =>
    from.every((axis, i) => axis === to[i]) ? data : arrange({ axes: from, data }, to, elements).data;
}
