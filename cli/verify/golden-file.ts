/** Reads a file of golden vectors. Whatever is in it can be checked: the rest is refused, with its place. */
import { basename } from 'node:path';
import { didYouMean, listed, quoted } from '../../compiler/spec/codes.ts';
import type { Entry } from '../../compiler/spec/spec.ts';
import { fail, NormgradError } from '../../runtime/error.ts';
import { type Fields, given, isFields, readAttribute, readEach, readNumbers } from '../fields.ts';
import { Failure, UsageError } from '../io.ts';
import { parseJson } from '../json.ts';
import { readBytes, textOf } from '../text.ts';

/** By name, row-major in the signature's axis order; what is null is left out. */
export type Vectors = ReadonlyMap<string, readonly number[]>;

export interface GoldenCase {
  readonly id: string;
  /** Of the first tensor argument. */
  readonly shape: readonly number[];
  readonly inputs: Vectors;
  readonly attributes: Fields;
  /** Returns, and states as they are afterwards. */
  readonly outputs: Vectors;
  readonly vjp?: { readonly cotangents: Vectors; readonly grads: Vectors };
  /** `expected` has the tangents of returns. */
  readonly jvp?: { readonly tangents: Vectors; readonly expected: Vectors };
  /** Beside `vjp`, whose cotangents it has. In `grads` those of cotangents are called `grad_RETURN`. */
  readonly second?: { readonly cotangents: Vectors; readonly grads: Vectors };
}

/** A file whose cases have not been looked at, since the names in them depend on the op. */
export interface GoldenFile {
  readonly op: string;
  readonly file: string;
  /** Whether it says of which op it is, or is only called like it. */
  readonly isNamed: boolean;
  readonly cases: readonly unknown[];
}

export async function readGolden(file: string): Promise<GoldenFile> {
  const value = parseJson(textOf(await readBytes(file), file), file);
  return placed(file, () => {
    if (!isFields(value)) return fail('type', 'golden vectors are an object, {"op": …, "cases": […]}');
    const { op, cases, ...notes } = value;
    // whoever made the file may say more of it
    const misspelt = Object.keys(notes).find((name) => didYouMean(name, ['op', 'cases']) !== undefined);
    if (misspelt !== undefined) failUnknown(misspelt, ['op', 'cases']);
    if (given(op) && typeof op !== 'string') fail('type', 'op must be the name of an op');
    if (!Array.isArray(cases) || cases.length === 0)
      return fail('missing', 'cases must be a list with at least one {"shape": […], "inputs": {…}, …}');
    const name = typeof op === 'string' ? op : basename(file).replace(/\.\w+$/, '');
    return { op: name, file, isNamed: given(op), cases };
  });
}

export interface Golden {
  readonly op: string;
  readonly file: string;
  readonly cases: readonly GoldenCase[];
}

/** Reads the cases, of an op of the spec, or of the only one that is asked for. */
export function takeCases(golden: GoldenFile, entries: readonly Entry[], only: string | undefined): Golden {
  const { op, file, cases } = golden;
  const entry = entryOf(golden, entries, only);
  const names = namesOf(entry);
  return {
    op,
    file,
    cases: placed(file, () => cases.map((value, i) => readCase(value, `cases[${i}]`, names))),
  };
}

function entryOf(
  { op, file, isNamed }: GoldenFile,
  entries: readonly Entry[],
  only: string | undefined,
): Entry {
  const source = isNamed ? '' : ', as its name says, since it has no "op"';
  const names = entries.map(({ name }) => name);
  const found = entries.find(({ name }) => name === op);
  if (!found) {
    const hint = didYouMean(op, names) ?? `the spec has ${listed(names)}`;
    throw new UsageError(
      `${file} is of the op ${quoted(op)}${source}, which the spec does not have; ${hint}`,
    );
  }
  if (only !== undefined && only !== op)
    throw new UsageError(`${file} is of the op ${quoted(op)}${source}, and --only asks for ${quoted(only)}`);
  return found;
}

/** What may be named in a case. */
interface Names {
  readonly tensors: readonly string[];
  readonly attributes: readonly string[];
  readonly outputs: readonly string[];
  /** The differentiable arguments and returns. */
  readonly wrt: readonly string[];
  readonly returns: readonly string[];
}

function namesOf(entry: Entry): Names {
  const of = (list: readonly { readonly name: string }[]): string[] => list.map(({ name }) => name);
  const tensors = entry.arguments.flatMap((a) => (a.kind === 'tensor' ? [a] : []));
  return {
    tensors: of(tensors),
    attributes: of(entry.arguments.filter(({ kind }) => kind !== 'tensor')),
    outputs: of([...entry.returns, ...entry.update]),
    wrt: of(tensors.filter(({ differentiable }) => differentiable)),
    returns: of(entry.returns.filter(({ differentiable }) => differentiable)),
  };
}

const sections = ['outputs', 'vjp', 'jvp', 'double_backward'] as const;

/** The members of a case but for these are attributes by name, and texts notes. Cotangents and tangents of a return `y` are called `dy`. */
function readCase(value: unknown, place: string, names: Names): GoldenCase {
  const notes = isFields(value) ? Object.keys(value).filter((name) => typeof value[name] === 'string') : [];
  const known = ['id', 'shape', 'inputs', ...sections, ...names.attributes, ...notes];
  const members = readMembers(value, place, known);
  const { id, shape, inputs, outputs, vjp, jvp, double_backward: double } = members;
  if (!sections.some((section) => hasNumbers(members[section])))
    fail('missing', `${place}: nothing to check; expected ${sections.join(', ')}`);
  if (given(double) && !given(vjp))
    fail('missing', `${place}.double_backward: needs vjp beside it, for the cotangents`);
  const attributes = Object.entries(members).filter(([name]) => names.attributes.includes(name));
  return {
    id: given(id) ? String(id) : place,
    shape: names.tensors.length === 0 && !given(shape) ? [] : readShape(shape, `${place}.shape`),
    inputs: readVectors(inputs, `${place}.inputs`, names.tensors),
    attributes: Object.fromEntries(readEach(Object.fromEntries(attributes), place, readAttribute)),
    outputs: readVectors(outputs, `${place}.outputs`, names.outputs),
    ...(given(vjp) && { vjp: readVjp(vjp, `${place}.vjp`, names) }),
    ...(given(jvp) && { jvp: readJvp(jvp, `${place}.jvp`, names) }),
    ...(given(double) && { second: readSecond(double, `${place}.double_backward`, names) }),
  };
}

/** Whether there is a list somewhere; that it is where it should be, and of numbers, is checked elsewhere. */
const hasNumbers = (section: unknown): boolean =>
  given(section) && (!isFields(section) || Object.values(section).some(given));

function readShape(value: unknown, place: string): number[] {
  const isSize = (size: unknown): boolean => Number.isInteger(size) && (size as number) >= 0;
  if (!Array.isArray(value) || !value.every(isSize))
    return fail('shape', `${place} must be a list of sizes, of the first tensor argument`);
  return value;
}

function readVjp(value: unknown, place: string, { wrt, returns }: Names) {
  const members = readMembers(value, place, [...returns.map(cotangentName), 'grads']);
  return {
    cotangents: some(ofReturns(members, place, returns), place, returns.map(cotangentName)),
    grads: some(readVectors(members.grads, `${place}.grads`, wrt), `${place}.grads`, wrt),
  };
}

function readJvp(value: unknown, place: string, { wrt, returns }: Names) {
  const members = readMembers(value, place, ['tangents', ...returns.map(cotangentName)]);
  return {
    tangents: some(readVectors(members.tangents, `${place}.tangents`, wrt), `${place}.tangents`, wrt),
    expected: some(ofReturns(members, place, returns), place, returns.map(cotangentName)),
  };
}

function readSecond(value: unknown, place: string, { wrt, returns }: Names) {
  const { cotangents, grads } = readMembers(value, place, ['cotangents', 'grads']);
  const names = [...returns.map(cotangentName), ...wrt];
  const found = readVectors(grads, `${place}.grads`, names);
  const renamed = new Map(returns.map((name) => [cotangentName(name), `grad_${name}`]));
  return {
    cotangents: some(readVectors(cotangents, `${place}.cotangents`, wrt), `${place}.cotangents`, wrt),
    grads: new Map(
      [...some(found, `${place}.grads`, names)].map(([name, data]) => [renamed.get(name) ?? name, data]),
    ),
  };
}

const cotangentName = (name: string): string => `d${name}`;

/** By return. */
function ofReturns(members: Fields, place: string, returns: readonly string[]): Vectors {
  const pairs = returns.map((name) => [name, cotangentName(name)] as const);
  return new Map(
    pairs
      .filter(([, member]) => given(members[member]))
      .map(([name, member]) => [name, readNumbers(members[member], `${place}.${member}`)]),
  );
}

/** What must not be empty, since nothing would be checked, or at nothing but zeros. */
function some(vectors: Vectors, place: string, expected: readonly string[]): Vectors {
  if (vectors.size === 0) fail('missing', `${place}: nothing given of ${listed(expected)}`);
  return vectors;
}

const readVectors = (value: unknown, place: string, known: readonly string[]): Vectors =>
  readEach(readMembers(value ?? {}, place, known), place, readNumbers);

function readMembers(value: unknown, place: string, known: readonly string[]): Fields {
  if (!isFields(value)) return fail('type', `${place} must be an object`);
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) failUnknown(`${place}.${unknown}`, known, unknown);
  return value;
}

function failUnknown(place: string, known: readonly string[], name: string = place): never {
  const hint = didYouMean(name, known) ?? `expected ${known.join(', ') || 'none'}`;
  return fail('unknown-name', `${place}: unknown member; ${hint}`);
}

/** Puts the file's name before what is wrong in it. */
function placed<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof NormgradError) throw new Failure(error.message, { file });
    throw error;
  }
}
