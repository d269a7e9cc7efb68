/** Checks a call against an op's description: which variant and layout it means, and all its sizes and numbers. */
import type {
  ArgumentDescription,
  DimensionDescription,
  LayoutDescription,
  Numbers,
  OpDescription,
  TensorDescription,
  VariantDescription,
} from './description.ts';
import { fail } from './error.ts';
import { remember } from './remember.ts';
import { inferSizes, physicalDimensions, type Sizes, shapeOf } from './sizes.ts';
import type { Dtype, Owner, Tensor } from './tensor.ts';
import type { RunOptions } from './types.ts';

export type Given = { readonly [name: string]: Tensor | null | undefined };

/** A call that has passed every check, but for its tensors: calls of the same shapes, numbers and variant share it. */
export interface Call {
  readonly op: OpDescription;
  readonly dtype: Dtype;
  readonly layout: LayoutDescription;
  /** Axis sizes and attributes, and as 0 or 1 the flags and `given_NAME`. */
  readonly numbers: Numbers;
  /** The differentiable arguments, and those of them that were given; the differentiable returns. */
  readonly differentiable: readonly string[];
  readonly given: readonly string[];
  readonly differentiableReturns: readonly string[];
  /** The shape of an argument or return in these calls. */
  shapeOf(name: string): readonly number[];
  /** Directions as they were prepared for such a call. */
  readonly prepared: Map<string, unknown>;
}

export type Attributes = { readonly [name: string]: unknown };

/** Resolves calls, and finds again what it resolved before: a training loop makes the same few calls. */
export function makeResolver(owner: Owner) {
  const byOp = new WeakMap<OpDescription, { readonly key: readonly unknown[]; readonly call: Call }[]>();
  return (op: OpDescription, tensors: Given, attributes: Attributes, options: RunOptions): Call => {
    const known = byOp.get(op) ?? [];
    const key = keyOf(tensors, attributes, options);
    const like = known.find((one) => isSame(one.key, key));
    if (like) return like.call;
    const call = resolveCall(owner, op, tensors, attributes, options);
    byOp.set(op, [{ key, call }, ...known.slice(0, mostKnown)]);
    return call;
  };
}

/** Calls remembered for each op. */
const mostKnown = 16;

/** All that a call depends on. */
function keyOf(tensors: Given, attributes: Attributes, { layout, dtype }: RunOptions): readonly unknown[] {
  const key: unknown[] = [layout, dtype];
  for (const name in attributes) key.push(name, attributes[name]);
  for (const name in tensors) {
    const tensor = tensors[name];
    // what callers without types pass may be no tensor, which is told where tensors are checked
    key.push(name, tensor?.owner, tensor?.disposed, tensor?.dtype, ...(tensor?.shape ?? []));
  }
  return key;
}

export const isSame = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);

const isTensor = (argument: ArgumentDescription): argument is TensorDescription => argument.kind === 'tensor';

export const nameOf = ({ name }: { readonly name: string }): string => name;

/** Throws a `NormgradError` that names what is wrong with the call. */
function resolveCall(
  owner: Owner,
  op: OpDescription,
  tensors: Given,
  attributes: Attributes,
  options: RunOptions,
): Call {
  const layouts = op.layouts.map((layout) => layout.join(' '));
  const { layout: order = layouts[0]!, dtype: wanted } = options;
  checkNames(layouts, [order], 'layout');
  const expected = op.arguments.filter(isTensor);
  const names = expected.map(nameOf);
  const dtype = checkTensors(owner, names, tensors, 'tensor', wanted);
  const sizes: Sizes = new Map();
  const numbers = readAttributes(op, attributes, sizes);
  for (const { name, optional } of expected) {
    if (optional) numbers[`given_${name}`] = tensors[name] ? 1 : 0;
    else if (!tensors[name]) fail('missing', `missing tensor ${name}`);
  }
  for (const group of op.together)
    if (new Set(group.map((name) => numbers[`given_${name}`])).size > 1)
      fail('together', `${group.join(', ')} must be given together`);

  const axes = order.split(' ');
  inferSizes(
    names.flatMap((name) => {
      const shape = tensors[name]?.shape;
      return shape ? [{ name, shape, dimensions: dimensionsOf(op, name, axes) }] : [];
    }),
    sizes,
  );
  for (const [axis, { size }] of sizes) numbers[axis] = size;

  const variant = findVariant(op, numbers);
  for (const { test, message } of variant.requirements ?? [])
    if (!test(numbers)) fail('requirement', message);
  const differentiable = expected.filter(isDifferentiable).map(nameOf);
  return {
    op,
    dtype: dtype ?? 'f32',
    layout: findLayout(variant, axes, numbers),
    numbers,
    differentiable,
    given: differentiable.filter((name) => tensors[name]),
    differentiableReturns: op.returns.filter(isDifferentiable).map(nameOf),
    shapeOf: shapesOf(op, axes, sizes),
    prepared: new Map(),
  };
}

/** Shapes by name. It is kept, and does not keep the tensors of the first such call. */
function shapesOf(op: OpDescription, axes: readonly string[], sizes: Sizes) {
  const shapes = new Map<string, readonly number[]>();
  return (name: string): readonly number[] => {
    return remember(shapes, name, () => shapeOf(name, dimensionsOf(op, name, axes), sizes));
  };
}

function dimensionsOf(op: OpDescription, name: string, axes: readonly string[]): DimensionDescription[] {
  const one = [...op.arguments, ...op.returns].find((t) => t.name === name) as TensorDescription;
  return physicalDimensions(one.dimensions, axes);
}

const isDifferentiable = ({ differentiable }: { readonly differentiable?: true }) => differentiable;

/** The type of the tensors that are given. Throws on unknown names, disposed ones and mixed types. */
export function checkTensors(
  owner: Owner,
  names: readonly string[],
  given: Given,
  what: string,
  dtype?: Dtype,
): Dtype | undefined {
  checkNames(names, Object.keys(given), what);
  let found = dtype;
  for (const name of names) {
    const tensor = given[name];
    if (!tensor) continue;
    if (tensor.owner !== owner) fail('device', `${what} ${name} is no tensor of this device`);
    if (tensor.disposed) fail('disposed', `${what} ${name} was disposed`);
    found ??= tensor.dtype;
    if (found !== tensor.dtype) fail('dtype', `${what} ${name} is ${tensor.dtype}, but the call is ${found}`);
  }
  return found;
}

/** Throws `unknown-name` for the first that is given and not among the names. */
export function checkNames(names: readonly string[], given: readonly string[], what: string): void {
  for (const name of given)
    if (!names.includes(name))
      fail('unknown-name', `unknown ${what} '${name}'; expected ${names.join(', ') || 'none'}`);
}

const check = {
  bool: (value: unknown) => typeof value === 'boolean',
  int: (value: unknown) => Number.isInteger(value),
  float: (value: unknown) => typeof value === 'number',
};

/**
 * Numbers and flags by name, defaults filled in. An int that is also an axis may be left to be inferred; where it is
 * given, it is added to `sizes`. Throws on names that the op does not have, missing ones, and values of other types.
 */
export function readAttributes(op: OpDescription, given: Attributes, sizes: Sizes): Record<string, number> {
  const expected = op.arguments.filter((argument) => argument.kind !== 'tensor');
  checkNames(expected.map(nameOf), Object.keys(given), 'attribute');
  const numbers: Record<string, number> = {};
  for (const { name, kind, default: otherwise } of expected) {
    const value = given[name] ?? otherwise;
    const isAxis = op.axes.includes(name);
    if (value === undefined) {
      if (!isAxis) fail('missing', `missing attribute ${name} (${kind})`);
      continue;
    }
    if (!check[kind](value) || (isAxis && (value as number) < 0)) {
      const wanted = isAxis ? 'a size (int)' : `of type ${kind}`;
      fail('type', `attribute ${name} must be ${wanted}, not the ${typeof value} ${value}`);
    }
    numbers[name] = Number(value);
    if (isAxis) sizes.set(name, { size: numbers[name], from: 'the call' });
  }
  return numbers;
}

function findVariant(op: OpDescription, numbers: Numbers): VariantDescription {
  const key = op.arguments
    .filter(({ kind, name }) => numbers[`given_${name}`] || (kind === 'bool' && numbers[name]))
    .map(nameOf)
    .join(' ');
  return op.variants[key] ?? fail('requirement', op.unavailable[key]!);
}

/**
 * The kernels of a layout; or those of another which means the same order in memory, because the axes that it has
 * elsewhere have one element each. Loops run best where the innermost axis is not one of these.
 */
function findLayout(
  { layouts }: VariantDescription,
  axes: readonly string[],
  numbers: Numbers,
): LayoutDescription {
  const long = (order: readonly string[]): string => order.filter((axis) => numbers[axis] !== 1).join(' ');
  const orders = [axes, ...Object.keys(layouts).map((key) => key.split(' '))];
  const best = orders.find((order) => long(order) === long(axes) && numbers[order.at(-1)!] !== 1);
  return layouts[(best ?? axes).join(' ')]!;
}
