/** Reads the formulas that somebody claims for derivatives. */
import { type Code, didYouMean, listed, quoted } from './codes.ts';
import { checkDifferentiable } from './declare.ts';
import type { Field } from './document.ts';
import type { Hidden } from './scope.ts';
import { fits, formulasOf, type Names, type Reader, read, type Sections } from './sections.ts';
import type { Axis, Named } from './spec.ts';

/** The names that only claims have, with the axes of what they belong to. */
interface ClaimNames {
  readonly names: ReadonlyMap<string, readonly Axis[]>;
  readonly hidden: ReadonlyMap<string, Hidden>;
}

/**
 * `grad` (or `grad_y`) is the cotangent of the return y, `x_t` the tangent of x, and in claims on the double backward
 * `v_x` is the cotangent of the gradient of x.
 */
export function readClaims(
  reader: Reader,
  names: Names,
): Pick<Sections, 'gradients' | 'tangents' | 'second'> {
  const { arguments: args, returns } = reader.declared;
  const inputs = args.flatMap((a) => (a.kind === 'tensor' && a.differentiable ? [a] : []));
  const results = returns.filter(({ differentiable }) => differentiable);
  const cotangents = cotangentsOf(reader);
  const tangents = new Map(inputs.map(({ name, axes }) => [`${name}_t`, axes]));
  const second = new Map([
    ...cotangents.names,
    ...inputs.map(({ name, axes }) => [`v_${name}`, axes] as const),
  ]);
  const ofInputs = new Map(inputs.map(({ name, axes }) => [name, axes]));
  const ofResults = new Map(results.map(({ name, axes }) => [name, axes]));
  const ofBoth = new Map([...results.map(({ name, axes }) => [`grad_${name}`, axes] as const), ...ofInputs]);
  return {
    gradients: claims(reader, 'gradients', ofInputs, cotangents, names),
    tangents: claims(reader, 'tangents', ofResults, { names: tangents, hidden: new Map() }, names),
    second: claims(reader, 'second', ofBoth, { names: second, hidden: cotangents.hidden }, names),
  };
}

function cotangentsOf({ declared }: Reader): ClaimNames {
  const results = declared.returns.filter(({ differentiable }) => differentiable);
  const names = new Map(results.map(({ name, axes }) => [`grad_${name}`, axes]));
  const hidden = new Map<string, Hidden>();
  for (const { name, differentiable } of declared.returns) {
    const message = `the return ${quoted(name)} is not differentiable, so it has no cotangent`;
    if (!differentiable) hidden.set(`grad_${name}`, { code: 'not-differentiable', message });
  }
  if (results.length === 1) return { names: names.set('grad', results[0]!.axes), hidden };
  const message =
    results.length === 0 ? 'no return is differentiable' : `'grad' could be ${listed(names.keys())}`;
  hidden.set('grad', { code: results.length === 0 ? 'not-differentiable' : 'unknown-name', message });
  return { names, hidden };
}

function claims(
  reader: Reader,
  section: string,
  places: ReadonlyMap<string, readonly Axis[]>,
  own: ClaimNames,
  names: Names,
): Named[] {
  const { source, fields } = reader;
  const key = fields.get(section);
  if (!key) return [];
  const scope: Names = new Map(names);
  for (const [name, axes] of own.names) {
    if (scope.has(name))
      source.report(
        'reserved-name',
        key.keySpan,
        `${quoted(name)} has a meaning in ${quoted(section)}, and is also a name of this entry`,
      );
    scope.set(name, { type: 'number', axes });
  }
  return (formulasOf(reader, section) ?? []).flatMap((field): Named[] => {
    const axes = places.get(field.key);
    if (!axes) reportPlace(reader, section, field, places);
    const one = read(reader, field, scope, own.hidden, true);
    return axes && one && fits(reader, one.found, axes, quoted(field.key)) ? [one.named] : [];
  });
}

function reportPlace(
  { source, declared }: Reader,
  section: string,
  { key, keySpan }: Field,
  places: ReadonlyMap<string, unknown>,
): void {
  const isArgument = declared.arguments.some(({ name }) => name === key);
  if (section === 'gradients' && isArgument) {
    checkDifferentiable({ word: key, span: keySpan }, declared.arguments, source.report);
    return;
  }
  const known = isArgument || declared.returns.some(({ name }) => name === key || `grad_${name}` === key);
  const code: Code = known ? 'not-differentiable' : 'unknown-name';
  const hint = didYouMean(key, places.keys()) ?? `there can be ${listed(places.keys())}`;
  source.report(code, keySpan, `${quoted(section)} cannot claim anything of ${quoted(key)}`, hint);
}
