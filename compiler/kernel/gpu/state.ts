/** What a lane knows of the elements it has taken in: a real, or where a state has several parts, a record. */
import type { Accumulation, Monoid } from '../../schedule/stages.ts';
import { asVector, type Code, isVector, name, type RecordType, real, type Statement } from '../kernel.ts';
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

/** How many reals a record takes in an array: vectors start at multiples of four, and so does what has some. */
export const realsOf = ({ value, record }: Total): number => {
  if (!record) return isVector(value) ? 4 : 1;
  const wide = record.members.filter(({ type }) => type === 'vector').length;
  const narrow = record.members.length - wide;
  return wide > 0 ? 4 * (wide + Math.ceil(narrow / 4)) : narrow;
};

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
  const names = createNames(['a', 'b']);
  const body: Statement[] = [];
  const local: Local = (base, value) => {
    const id = names.fresh(base);
    body.push({ do: 'let', name: id, value });
    return name(id, value.type);
  };
  const [a, b] = ['a', 'b'].map((id) => membersOf(id, { members })) as [Code[], Code[]];
  const result = make(record.name, merge(a, b, local));
  return { name: record.name, members, merge: { name: record.merge, body, result } };
}
