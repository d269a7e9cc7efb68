/** Members of what was parsed from JSON; throws a `NormgradError` that names the place of what is wrong. */
import { fail } from '../runtime/error.ts';
import { readNumber } from './json.ts';

export type Fields = { readonly [name: string]: unknown };
export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const given = (value: unknown): boolean => value !== undefined && value !== null;

/** An object's members that are not null, by name. */
export function readEach<T>(
  value: unknown,
  place: string,
  read: (value: unknown, place: string) => T,
): Map<string, T> {
  if (!isFields(value)) return fail('type', `${place} must be an object`);
  const members = Object.entries(value).filter(([, member]) => given(member));
  return new Map(members.map(([name, member]) => [name, read(member, `${place}.${name}`)]));
}

/** A flat list. */
export function readNumbers(value: unknown, place: string): number[] {
  if (!Array.isArray(value)) return fail('type', `${place} must be a list of numbers`);
  return value.map((element, i) => {
    const found = readNumber(element);
    if (found !== undefined) return found;
    const hint = Array.isArray(element)
      ? 'data is one flat list'
      : 'expected a number, "NaN", "Infinity" or "-Infinity"';
    return fail('type', `${place}[${i}] is ${shown(element)}; ${hint}`);
  });
}

/** A number or a flag; a text that stands for no number is shown as it was written. */
export function readAttribute(value: unknown, place: string): unknown {
  if (typeof value === 'object')
    fail('type', `${place} is ${shown(value)}; expected a number, true or false`);
  return readNumber(value) ?? (typeof value === 'string' ? JSON.stringify(value) : value);
}

const shown = (value: unknown): string => JSON.stringify(value).slice(0, 60);
