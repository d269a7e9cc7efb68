/** What names mean while a formula is resolved. */
import type { Span } from '../diagnostics.ts';
import { type Code, didYouMean, quoted, type Report } from './codes.ts';
import type { Axis, Entry, Formula } from './spec.ts';

/** The kind of value and the axes it has, in row-major order where it is a tensor's own, else in the entry's order. */
export interface Binding {
  readonly type: 'number' | 'condition';
  readonly axes: readonly Axis[];
}

/** A formula whose names are resolved. */
export interface Typed extends Binding {
  readonly formula: Formula;
}

/** How an entry of the file stands to the one being read. */
export type Standing = Entry | 'broken' | 'self' | 'later';

export interface Scope {
  readonly report: Report;
  /** All axes of the entry, in order of first appearance. */
  readonly axes: readonly Axis[];
  /** `undefined` for a name whose own formula was reported: reading it reports nothing more. */
  readonly names: ReadonlyMap<string, Binding | undefined>;
  /** Names that are not to be read here, and the mistake that reading them is. */
  readonly hidden: ReadonlyMap<string, Hidden>;
  readonly tensors: ReadonlySet<string>;
  readonly optional: ReadonlySet<string>;
  readonly bools: ReadonlySet<string>;
  readonly entries: ReadonlyMap<string, Standing>;
  /** Told that the formula cannot be resolved although nothing in it is reported. */
  readonly taint: () => void;
  /** Told of each entry that is called. */
  readonly onCall: (entry: Entry) => void;
}

export interface Hidden {
  readonly code: Code;
  readonly message: string;
  readonly hint?: string;
}

/** A value by name, `pi`, `e`, `true` or `false`. */
export function resolveName(name: string, span: Span, scope: Scope): Typed | undefined {
  if (name === 'true' || name === 'false')
    return { type: 'condition', axes: [], formula: { kind: name, span } };
  if (name === 'pi' || name === 'e')
    return { type: 'number', axes: [], formula: { kind: 'constant', name, span } };
  const binding = scope.names.get(name);
  if (binding) return { ...binding, formula: { kind: 'name', name, span } };
  if (scope.names.has(name)) return undefined;
  const hidden = scope.hidden.get(name);
  if (hidden) {
    scope.report(hidden.code, span, hidden.message, hidden.hint);
  } else if (scope.axes.includes(name)) {
    const hint = `its size is 'count(${name})'`;
    scope.report('unknown-name', span, `unknown name ${quoted(name)}; there is an axis of that name`, hint);
  } else {
    const hint = didYouMean(name, [...scope.names.keys(), 'pi', 'true', 'false']);
    scope.report('unknown-name', span, `unknown name ${quoted(name)}`, hint);
  }
  return undefined;
}

/** The axes in the entry's order. */
export const ordered = (axes: Iterable<Axis>, scope: Pick<Scope, 'axes'>): Axis[] => {
  const set = new Set(axes);
  return scope.axes.filter((axis) => set.has(axis));
};
