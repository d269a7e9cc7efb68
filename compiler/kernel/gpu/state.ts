/** What a lane knows of the elements it has taken in: a real, or where a state has several parts, a record. */
import type { Accumulation, Monoid } from '../../schedule/stages.ts';
import {
  asVector,
  type Code,
  isVector,
  type MergeFunction,
  name,
  type RecordType,
  real,
  type SharedArray,
  type Statement,
} from '../kernel.ts';
import { type Local, monoids } from '../monoids.ts';
import { createNames } from '../names.ts';

/** A variable that holds the state of one accumulation. */
export interface Total {
  readonly accumulation: Accumulation;
  readonly value: Code;
  readonly parts: readonly Code[];
  readonly record: RecordType | undefined;
  /** The state of no elements. */
  readonly identity: Code;
}

/** The total in a variable of this name. Where neighbours belong to different results, all but counts are vectors. */
export function totalOf(id: string, accumulation: Accumulation, isAcross: boolean): Total {
  const { identity } = monoids[accumulation.monoid];
  const record = recordOf(accumulation.monoid, isAcross);
  if (record) {
    const isZero = identity.every((value) => value === 0);
    return {
      accumulation,
      value: name(id, 'record'),
      parts: membersOf(id, record),
      record,
      identity: make(record.name, isZero ? [] : identity.map(real)),
    };
  }
  const none = isAcross ? asVector(real(identity[0]!)) : real(identity[0]!);
  const value = name(id, none.type);
  return { accumulation, value, parts: [value], record, identity: none };
}

/** A state of these parts. */
export const stateOf = ({ record }: Total, parts: readonly Code[]): Code =>
  record ? make(record.name, parts) : parts[0]!;

/** The total with one more state in it. */
export function merged({ accumulation, record, value }: Total, state: Code, local: Local): Code {
  if (record) return make(record.merge!.name, [value, state]);
  return monoids[accumulation.monoid].merge([value], [state], local)[0]!;
}

/** The totals of a group in one variable: that of its accumulation, or a record of those of several. */
export interface Totals {
  readonly value: Code;
  readonly type: SharedArray['type'];
  readonly identity: Code;
  readonly each: readonly Total[];
  readonly records: readonly RecordType[];
}

export function totalsOf(id: string, accumulations: readonly Accumulation[], isAcross: boolean): Totals {
  const [first, ...others] = accumulations.map((accumulation) => totalOf(id, accumulation, isAcross));
  if (others.length === 0) {
    const { value, identity, record } = first!;
    return { value, type: typeOf(first!), identity, each: [first!], records: record ? [record] : [] };
  }
  const members = accumulations.map(({ monoid }, i) => (i === 0 ? monoid : `${monoid}_${i}`));
  const each = accumulations.map((one, i) => totalOf(`${id}.${members[i]}`, one, isAcross));
  const own = new Map(each.flatMap(({ record }) => (record ? [[record.name, record]] : [])));
  const all = {
    name: 'Totals',
    members: each.map((total, i) => ({ name: members[i]!, type: typeOf(total) })),
  };
  const identities = each.map(({ identity }) => identity);
  return {
    value: name(id, 'record'),
    type: all,
    identity: make(all.name, identities.every(isZero) ? [] : identities),
    each,
    records: [...own.values(), all],
  };
}

/** What merges two of those. */
export const mergeOf = (accumulations: readonly Accumulation[], isAcross: boolean): MergeFunction =>
  mergeFunction('merge_totals', (local) => {
    const [a, b] = ['a', 'b'].map((id) => totalsOf(id, accumulations, isAcross)) as [Totals, Totals];
    const each = a.each.map((total, i) => merged(total, b.each[i]!.value, local));
    return typeof a.type === 'object' && each.length > 1 ? make(a.type.name, each) : each[0]!;
  });

function mergeFunction(id: string, resultOf: (local: Local) => Code): MergeFunction {
  const names = createNames(['a', 'b']);
  const body: Statement[] = [];
  const result = resultOf((base, value) => {
    const local = names.fresh(base);
    body.push({ do: 'let', name: local, value });
    return name(local, value.type);
  });
  return { name: id, body, result };
}

const typeOf = ({ value, record }: Total): SharedArray['type'] =>
  record ?? (isVector(value) ? 'vector' : 'real');

const isZero = (code: Code): boolean =>
  (code.code === 'number' && code.value === 0) ||
  (code.code === 'splat' && isZero(code.x)) ||
  (code.code === 'make' && code.args.length === 0);

/** How many reals something takes in an array, where lanes take four elements at once. */
export const realsOf = (type: SharedArray['type']): number => layoutOf(type).size;

/** Vectors start at multiples of four reals, and so does what has some. */
function layoutOf(type: SharedArray['type']): { readonly size: number; readonly align: number } {
  if (typeof type === 'string') return type === 'vector' ? { size: 4, align: 4 } : { size: 1, align: 1 };
  const members = type.members.map((member) => layoutOf(member.type));
  const align = Math.max(...members.map((member) => member.align));
  const upTo = (size: number, by: number): number => Math.ceil(size / by) * by;
  const end = members.reduce((at, member) => upTo(at, member.align) + member.size, 0);
  return { size: upTo(end, align), align };
}

const make = (id: string, args: readonly Code[]): Code => ({ code: 'make', type: 'record', name: id, args });

const membersOf = (id: string, { members }: Pick<RecordType, 'members'>): Code[] =>
  members.map(({ name: member, type }) =>
    name(`${id}.${member}`, typeof type === 'object' ? 'record' : type),
  );

function recordOf(monoid: Monoid, isAcross: boolean): RecordType | undefined {
  const { record, counts = [], merge } = monoids[monoid];
  if (!record) return undefined;
  const members = record.members.map((id, i) => ({
    name: id,
    type: isAcross && !counts.includes(i) ? ('vector' as const) : ('real' as const),
  }));
  const [a, b] = ['a', 'b'].map((id) => membersOf(id, { members })) as [Code[], Code[]];
  const own = mergeFunction(record.merge, (local) => make(record.name, merge(a, b, local)));
  return { name: record.name, members, merge: own };
}
