/** Reads a request: what is asked of which op. A mistake in one case is that case's answer. */
import { didYouMean, quoted } from '../compiler/spec/codes.ts';
import { fail } from '../runtime/error.ts';
import { given, isFields, readAttribute, readEach, readNumbers } from './fields.ts';
import { Failure } from './io.ts';
import type { CallInputs, NamedData, Shaped } from './session.ts';

export interface Request {
  readonly op: string;
  readonly cases: readonly unknown[];
}

export interface Case extends CallInputs {
  readonly cotangents?: NamedData;
  readonly wrt?: readonly string[];
  readonly tangents?: NamedData;
  readonly cotangents2?: NamedData;
}

/** Throws a `Failure` where there is no list of cases, or no op. */
export function readRequest(value: unknown, name: string): Request {
  const wrong = (what: string): never => {
    throw new Failure(what, { file: name });
  };
  if (!isFields(value)) return wrong('a request is an object, {"op": …, "cases": […]}');
  const unknown = Object.keys(value).find((key) => key !== 'op' && key !== 'cases');
  if (unknown !== undefined) wrong(`a request has no ${quoted(unknown)}; expected 'op' and 'cases'`);
  const { op, cases } = value;
  if (typeof op !== 'string') return wrong('"op" must be the name of an op');
  if (!Array.isArray(cases)) return wrong('"cases" must be a list');
  return { op, cases };
}

const keys = ['id', 'inputs', 'attributes', 'cotangents', 'wrt', 'tangents', 'cotangents2'];

/** Throws a `NormgradError` that names the place in the case. */
export function readCase(value: unknown): Case {
  if (!isFields(value)) return fail('type', 'a case is an object, {"inputs": …}');
  const unknown = Object.keys(value).find((key) => !keys.includes(key));
  if (unknown !== undefined)
    fail(
      'unknown-name',
      `a case has no ${quoted(unknown)}; ${didYouMean(unknown, keys) ?? `expected ${keys.join(', ')}`}`,
    );
  const { inputs, attributes, cotangents, wrt, tangents, cotangents2 } = value;
  if (given(cotangents2) && !given(cotangents)) fail('missing', 'cotangents2 needs cotangents beside it');
  return {
    inputs: readEach(inputs ?? {}, 'inputs', readShaped),
    attributes: Object.fromEntries(readEach(attributes ?? {}, 'attributes', readAttribute)),
    ...(given(cotangents) && { cotangents: readEach(cotangents, 'cotangents', readFlat) }),
    ...(given(wrt) && { wrt: readNames(wrt) }),
    ...(given(tangents) && { tangents: readEach(tangents, 'tangents', readFlat) }),
    ...(given(cotangents2) && { cotangents2: readEach(cotangents2, 'cotangents2', readFlat) }),
  };
}

function readShaped(value: unknown, place: string): Shaped {
  if (!isFields(value)) return fail('type', `${place} must be {"shape": […], "data": […]} or null`);
  const unknown = Object.keys(value).find((key) => key !== 'shape' && key !== 'data');
  if (unknown !== undefined)
    fail('unknown-name', `${place} has no ${quoted(unknown)}; expected 'shape' and 'data'`);
  const { shape, data } = value;
  const isSize = (size: unknown): size is number => Number.isInteger(size) && (size as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(isSize))
    return fail('shape', `${place}.shape must be a list of sizes`);
  return { shape, data: readNumbers(data, `${place}.data`) };
}

/** A flat list, or an input's form. */
const readFlat = (value: unknown, place: string): readonly number[] | Shaped =>
  isFields(value) ? readShaped(value, place) : readNumbers(value, place);

function readNames(value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string'))
    return fail('type', 'wrt must be a list of names');
  return value;
}
