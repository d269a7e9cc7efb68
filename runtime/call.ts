/** Checks a call against an op's description: which variant and layout it means, and all its sizes and numbers. */
import type {
  ArgumentDescription,
  LayoutDescription,
  Numbers,
  OpDescription,
  TensorDescription,
  VariantDescription,
} from './description.ts';
import { fail } from './error.ts';
import { inferSizes, physicalDimensions, type ShapedTensor, type Sizes, shapeOf } from './sizes.ts';
import type { Dtype, Owner, Tensor } from './tensor.ts';

export type Given = { readonly [name: string]: Tensor | null | undefined };

/** A call that has passed every check. */
export interface Call {
  readonly op: OpDescription;
  /** The tensors given, by argument name, in signature order. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly dtype: Dtype;
  readonly layout: LayoutDescription;
  /** Axis sizes and attributes, and as 0 or 1 the flags and `given_NAME`. */
  readonly numbers: Numbers;
  /** The shape of an argument or return in this call. */
  shapeOf(name: string): number[];
}

const isTensor = (argument: ArgumentDescription): argument is TensorDescription => argument.kind === 'tensor';

/** Throws a `NormgradError` that names the op and what is wrong with the call. */
export function resolveCall(
  owner: Owner,
  op: OpDescription,
  tensors: Given,
  attributes: { readonly [name: string]: unknown },
  order = op.layouts[0]!.join(' '),
): Call {
  const layouts = op.layouts.map((layout) => layout.join(' '));
  if (!layouts.includes(order))
    fail('unknown-name', `unknown layout '${order}'; expected '${layouts.join("' or '")}'`);
  const expected = op.arguments.filter(isTensor);
  const given = checkTensors(owner, expected, tensors, 'tensor');
  checkPresence(op, expected, given);
  const numbers = readAttributes(op, attributes);
  for (const { name, optional } of expected) if (optional) numbers[`given_${name}`] = given.has(name) ? 1 : 0;

  const axes = order.split(' ');
  const dimensionsOf = (name: string) =>
    physicalDimensions([...expected, ...op.returns].find((t) => t.name === name)!.dimensions, axes);
  const sizes: Sizes = new Map();
  for (const axis of op.axes)
    if (axis in numbers) sizes.set(axis, { size: numbers[axis]!, from: 'the call' });
  const shaped = [...given].map(
    ([name, { shape }]): ShapedTensor => ({ name, shape, dimensions: dimensionsOf(name) }),
  );
  inferSizes(shaped, sizes);
  for (const [axis, { size }] of sizes) numbers[axis] = size;

  const variant = findVariant(op, numbers, given);
  for (const { test, message } of variant.requirements ?? [])
    if (!test(numbers)) fail('requirement', message);
  return {
    op,
    tensors: given,
    dtype: [...given.values()][0]?.dtype ?? 'f32',
    layout: findLayout(variant, order),
    numbers,
    shapeOf: (name) => shapeOf(name, dimensionsOf(name), sizes),
  };
}

/** The tensors that are not null, in the order expected. Throws on unknown names, disposed ones and mixed types. */
export function checkTensors(
  owner: Owner,
  expected: readonly { readonly name: string }[],
  given: Given,
  what: string,
  dtype?: Dtype,
): Map<string, Tensor> {
  const names = expected.map(({ name }) => name);
  checkNames(names, given, what);
  const found = new Map<string, Tensor>();
  let first = dtype && { name: 'the call', dtype };
  for (const name of names) {
    const tensor = given[name];
    if (!tensor) continue;
    if (tensor.owner !== owner) fail('device', `${what} ${name} is on another device`);
    if (tensor.disposed) fail('disposed', `${what} ${name} was disposed`);
    first ??= { name, dtype: tensor.dtype };
    if (first.dtype !== tensor.dtype) {
      fail('dtype', `${what} ${name} is ${tensor.dtype}, but ${first.name} is ${first.dtype}`);
    }
    found.set(name, tensor);
  }
  return found;
}

export function checkNames(names: readonly string[], given: object, what: string): void {
  for (const name of Object.keys(given)) {
    if (!names.includes(name))
      fail('unknown-name', `unknown ${what} '${name}'; expected ${names.join(', ') || 'none'}`);
  }
}

function checkPresence(
  op: OpDescription,
  expected: readonly TensorDescription[],
  given: Map<string, Tensor>,
): void {
  const missing = expected
    .filter(({ name, optional }) => !optional && !given.has(name))
    .map(({ name }) => name);
  if (missing.length > 0) fail('missing', `missing tensor ${missing.join(', ')}`);
  for (const group of op.together) {
    if (new Set(group.map((name) => given.has(name))).size > 1) {
      fail('together', `${group.join(', ')} must be given together or not at all`);
    }
  }
}

const check = {
  bool: (value: unknown) => typeof value === 'boolean',
  int: (value: unknown) => Number.isInteger(value),
  float: (value: unknown) => typeof value === 'number',
};

/** Numbers and flags by name, defaults filled in. An int that is also an axis may be left to be inferred. */
function readAttributes(
  op: OpDescription,
  given: { readonly [name: string]: unknown },
): Record<string, number> {
  const expected = op.arguments.filter((argument) => !isTensor(argument));
  checkNames(
    expected.map(({ name }) => name),
    given,
    'attribute',
  );
  const numbers: Record<string, number> = {};
  for (const { name, kind, ...rest } of expected) {
    const value = given[name] ?? ('default' in rest ? rest.default : undefined);
    const isAxis = op.axes.includes(name);
    if (value === undefined) {
      if (!isAxis) fail('missing', `missing attribute ${name} (${kind})`);
      continue;
    }
    if (!check[kind as keyof typeof check](value) || (isAxis && Number(value) < 0)) {
      fail(
        'type',
        `attribute ${name} must be ${isAxis ? 'a size' : `of type ${kind}`}, not ${String(value)}`,
      );
    }
    numbers[name] = Number(value);
  }
  return numbers;
}

function findVariant(
  op: OpDescription,
  numbers: Numbers,
  given: ReadonlyMap<string, Tensor>,
): VariantDescription {
  const key = op.arguments
    .filter((a) => (a.kind === 'bool' ? numbers[a.name] : isTensor(a) && a.optional && given.has(a.name)))
    .map(({ name }) => name)
    .join(' ');
  const variant = op.variants[key];
  if (variant) return variant;
  const reason = op.unavailable[key];
  return reason ? fail('requirement', reason) : fail('not-generated', `there is no variant '${key}'`);
}

function findLayout({ layouts }: VariantDescription, order: string): LayoutDescription {
  const expected = Object.keys(layouts).join("', '");
  return layouts[order] ?? fail('not-generated', `there is no layout '${order}'; expected '${expected}'`);
}
