/** Reads the formulas of an entry, section by section, each in the scope that it has. */

import type { Span } from '../diagnostics.ts';
import { readClaims } from './claims.ts';
import { didYouMean, listed, quoted } from './codes.ts';
import type { Declared, Fields } from './declare.ts';
import { type Field, fieldsOf, itemsOf, type Source, spanOf, textOf, wordOf } from './document.ts';
import { onOneLine } from './passage.ts';
import { condition, numeric, resolve } from './resolve.ts';
import type { Binding, Hidden, Scope, Standing, Typed } from './scope.ts';
import type { Axis, Entry, Named, Requirement } from './spec.ts';
import { parseSyntax } from './syntax.ts';
import { meaningOf } from './words.ts';

export type Sections = Pick<
  Entry,
  'require' | 'forward' | 'update' | 'gradients' | 'tangents' | 'second' | 'entries'
>;
export type Names = Map<string, Binding | undefined>;

export interface Reader {
  readonly source: Source;
  readonly declared: Declared;
  readonly fields: Fields;
  readonly scope: Omit<Scope, 'names' | 'hidden'>;
}

/** Formulas see the arguments, and what formulas above them define; calls, the entries that are `standing` before. */
export function readSections(
  source: Source,
  declared: Declared,
  fields: Fields,
  standing: ReadonlyMap<string, Standing>,
): Sections {
  const { arguments: args, axes } = declared;
  const entries = new Map<string, Entry>();
  const pick = (kind: string): Set<string> => new Set(args.flatMap((a) => (a.kind === kind ? [a.name] : [])));
  const optional = new Set(args.flatMap((a) => (a.kind === 'tensor' && a.optional ? [a.name] : [])));
  const onCall = (entry: Entry): void => void entries.set(entry.name, entry);
  const scope = {
    report: source.report,
    taint: source.taint,
    axes,
    tensors: pick('tensor'),
    optional,
    bools: pick('bool'),
    entries: standing,
    onCall,
  };
  const reader: Reader = { source, declared, fields, scope };
  const names: Names = new Map();
  for (const a of args) {
    names.set(a.name, {
      type: a.kind === 'bool' ? 'condition' : 'number',
      axes: a.kind === 'tensor' ? a.axes : [],
    });
  }
  const require = readRequire(reader, names);
  const forward = readForward(reader, names);
  return { require, forward, update: readUpdate(reader, names), ...readClaims(reader, names), entries };
}

function readRequire({ source, fields, scope }: Reader, all: Names): Requirement[] {
  const field = fields.get('require');
  if (!field) return [];
  const hidden = new Map<string, Hidden>();
  for (const name of scope.tensors) {
    const message = `a requirement cannot depend on the values of the tensor ${quoted(name)}`;
    hidden.set(name, {
      code: 'bad-condition',
      message,
      hint: "it can depend on bool, int and float arguments, 'given' and 'count'",
    });
  }
  const names = new Map([...all].filter(([name]) => !scope.tensors.has(name)));
  return (itemsOf(source, field.value, field.keySpan, quoted('require')) ?? []).flatMap(
    (item): Requirement[] => {
      const parts = fieldsOf(source, item, field.keySpan, `an item of ${quoted('require')}`);
      if (!parts) return [];
      const at = spanOf(source, item, field.keySpan);
      const that = parts.find(({ key }) => key === 'that');
      const otherwise = parts.find(({ key }) => key === 'else');
      for (const { key, keySpan } of parts) {
        if (key === 'that' || key === 'else') continue;
        source.report(
          'unknown-key',
          keySpan,
          `a requirement has no ${quoted(key)}`,
          didYouMean(key, ['that', 'else']) ?? "it has 'that' and 'else'",
        );
      }
      if (!that) source.report('missing-key', at, "a requirement needs 'that', its condition");
      if (!otherwise) source.report('missing-key', at, "a requirement needs 'else', its message");
      const message = otherwise && wordOf(source, otherwise.value, otherwise.keySpan, quoted('else'));
      const text = that && textOf(source, that.value, that.keySpan, quoted('that'));
      const syntax = text && parseSyntax(text, source.report);
      const found = syntax && condition(syntax, { ...scope, names, hidden });
      return found && message && text
        ? [{ that: found.formula, else: message.word.trim(), span: text.whole }]
        : [];
    },
  );
}

/** A section's formulas with the key that names each; undefined where there is no such section. */
export const formulasOf = ({ source, fields }: Reader, key: string): Field[] | undefined => {
  const field = fields.get(key);
  return field && fieldsOf(source, field.value, field.keySpan, quoted(key));
};

/** A formula, and what it is called; undefined if something was reported. */
export function read(reader: Reader, field: Field, names: Names, hidden: Scope['hidden'], isNumber: boolean) {
  const { source, scope } = reader;
  const text = textOf(source, field.value, field.keySpan, `the formula of ${quoted(field.key)}`);
  const syntax = text && parseSyntax(text, source.report);
  const found = syntax && (isNumber ? numeric : resolve)(syntax, { ...scope, names, hidden });
  if (!found || !text) return undefined;
  const named: Named = {
    name: field.key,
    formula: found.formula,
    text: onOneLine(text),
    span: field.keySpan,
  };
  return { named, found };
}

/** Whether the formula has no axis that its place lacks. */
export function fits(reader: Reader, found: Typed, axes: readonly Axis[], what: string): boolean {
  const extra = found.axes.filter((axis) => !axes.includes(axis));
  if (extra.length === 0) return true;
  const has = axes.length === 0 ? 'has no axes' : `has the axes ${listed(axes)}`;
  const over = extra.length === 1 ? `the axis ${listed(extra)}` : `the axes ${listed(extra)}`;
  reader.source.report(
    'axis-mismatch',
    found.formula.span,
    `${what} ${has}, and its formula also has ${over}`,
  );
  return false;
}

function readForward(reader: Reader, names: Names): Named[] {
  const { source, declared } = reader;
  const section = formulasOf(reader, 'forward');
  const written = section ?? [];
  const hidden = new Map<string, Hidden>();
  for (const { key } of written) {
    hidden.set(key, {
      code: 'not-yet-defined',
      message: `${quoted(key)} is read before it is defined`,
      hint: 'formulas are evaluated in the order written',
    });
  }
  const results = new Map(declared.returns.map((one) => [one.name, one]));
  const forward = written.flatMap((field): Named[] => {
    const { key, keySpan } = field;
    const isNew = checkNewName(reader, key, keySpan, names);
    hidden.set(key, { code: 'not-yet-defined', message: `${quoted(key)} is read in its own formula` });
    const one = read(reader, field, names, hidden, results.has(key));
    hidden.delete(key);
    if (!isNew) {
      if (!names.has(key)) names.set(key, undefined);
      return [];
    }
    const result = results.get(key);
    const isRight =
      one !== undefined && (!result || fits(reader, one.found, result.axes, `the return ${quoted(key)}`));
    names.set(key, result ? { type: 'number', axes: result.axes } : one?.found);
    return isRight ? [one.named] : [];
  });
  const spare = written.map(({ key }) => key).filter((key) => !results.has(key));
  for (const { name, span } of declared.returns) {
    if (names.has(name)) continue;
    if (section)
      source.report(
        'undefined-return',
        span,
        `no formula defines the return ${quoted(name)}`,
        didYouMean(name, spare),
      );
    names.set(name, undefined);
  }
  return forward;
}

function checkNewName({ source, declared }: Reader, key: string, span: Span, names: Names): boolean {
  const { report } = source;
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) {
    report(
      'syntax',
      span,
      `${quoted(key)} is not a name`,
      'names are made of the letters a to z, digits and _',
    );
  } else if (meaningOf(key)) {
    report('reserved-name', span, `${quoted(key)} has a meaning ${meaningOf(key)}, and cannot be a name`);
  } else if (declared.returns.some(({ name }) => key === `grad_${name}`)) {
    report('reserved-name', span, `${quoted(key)} is the name of a cotangent here`);
  } else if (names.has(key)) {
    report(
      'duplicate-name',
      span,
      `${quoted(key)} is an argument already`,
      'a name has one meaning: choose another',
    );
  } else {
    return true;
  }
  return false;
}

function readUpdate(reader: Reader, names: Names): Named[] {
  const { source, declared } = reader;
  return (formulasOf(reader, 'update') ?? []).flatMap((field): Named[] => {
    const argument = declared.arguments.find(({ name }) => name === field.key);
    const state = argument?.kind === 'tensor' && argument.state ? argument : undefined;
    if (!state) {
      const states = declared.arguments.flatMap((a) => (a.kind === 'tensor' && a.state ? [a.name] : []));
      const hint =
        argument?.kind === 'tensor' ? "state is declared 'Tensor(a!)'" : didYouMean(field.key, states);
      source.report(
        'not-state',
        field.keySpan,
        `${quoted(field.key)} is not state, so it cannot be updated`,
        hint,
      );
    }
    const one = read(reader, field, names, new Map(), true);
    return state && one && fits(reader, one.found, state.axes, `the state ${quoted(field.key)}`)
      ? [one.named]
      : [];
  });
}
