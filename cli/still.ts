/** Answers where nothing moves, for which no kernels are generated: no differentiable input is given, or nothing depends on one. */
import type { Entry } from '../compiler/spec/spec.ts';
import { checkNames } from '../runtime/call.ts';
import { fail } from '../runtime/error.ts';
import type { Case } from './request.ts';
import type { NamedData, NamedNumbers } from './session.ts';

export const differentiableOf = (entry: Entry): string[] =>
  entry.arguments.flatMap((a) => (a.kind === 'tensor' && a.differentiable ? [a.name] : []));

const returnsOf = (entry: Entry): string[] =>
  entry.returns.filter(({ differentiable }) => differentiable).map(({ name }) => name);

const givenOf = ({ inputs }: Case, entry: Entry): string[] =>
  differentiableOf(entry).filter((name) => inputs.has(name));

/** Unless it asks by name for a gradient of what was not given, which is a mistake. */
export function isStill(asked: Case, entry: Entry): boolean {
  const given = givenOf(asked, entry);
  const isAsked = (asked.wrt ?? []).every((name) => given.includes(name));
  return isAsked && (given.length === 0 || returnsOf(entry).length === 0);
}

/** What is there is zero: the gradients of what is given, and the tangents of what is returned. */
export function stillAnswers(asked: Case, entry: Entry, outputs: NamedNumbers) {
  const { inputs, cotangents, wrt, tangents, cotangents2 } = asked;
  const [given, returns] = [givenOf(asked, entry), returnsOf(entry)];
  const like = (name: string): readonly number[] => outputs.get(name) ?? inputs.get(name)!.data;
  const zeros = (names: readonly string[]) => names.map((name) => [name, like(name).map(() => 0)] as const);
  const check = (data: NamedData | undefined, names: readonly string[], what: string): void => {
    checkNames(names, [...(data?.keys() ?? [])], what);
    for (const [name, value] of data ?? []) checkLength(name, value, like(name).length);
  };
  check(cotangents, returns, 'cotangent');
  check(tangents, given, 'tangent');
  check(cotangents2, given, 'cotangent2');
  const second = zeros(returns).map(([name, data]) => [`grad_${name}`, data] as const);
  return {
    gradients: cotangents && new Map(zeros(wrt ?? given)),
    tangents: tangents && new Map(zeros(returns)),
    second: cotangents && cotangents2 && new Map([...second, ...zeros(given)]),
  };
}

function checkLength(
  name: string,
  value: readonly number[] | { readonly data: readonly number[] },
  length: number,
): void {
  const data = 'data' in value ? value.data : value;
  if (data.length !== length) fail('shape', `${name} has ${length} elements, but ${data.length} were given`);
}
