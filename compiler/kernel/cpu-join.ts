/**
 * Neighbouring loops over the same kept indices as one, as where a reduction is finished and what follows prepares its
 * factors: what only goes from one to the other needs no array, and what both compute is computed once.
 */
import { codesOf, eachCode, eachOperand, eachStatement, mapOperands, operandsOf } from './collect.ts';
import type { Code, Statement } from './kernel.ts';
import { mapCodes, renameAll } from './rewrite.ts';

type For = Extract<Statement, { do: 'for' }>;

/** The same body with such loops joined, and without arrays that nothing reads any more. */
export function joinLoops(body: readonly Statement[]): Statement[] {
  const isLocal = new Set(body.flatMap((s) => (s.do === 'array' ? [s.name] : [])));
  return withoutUnread(joinIn(body, isLocal), isLocal);
}

function joinIn(list: readonly Statement[], isLocal: ReadonlySet<string>): Statement[] {
  const joined: Statement[] = [];
  for (const s of list) {
    const at = joined.findLastIndex((other) => other.do !== 'array' && !isArithmetic(other));
    const before = joined[at];
    if (before?.do === 'for' && s.do === 'for' && canJoin(before, s)) {
      const rest = renameAll(s.body, (id) => (id === s.name ? before.name : id));
      joined.splice(at, 1);
      joined.push({ ...before, body: joinIn(reuse([...before.body, ...rest], isLocal), isLocal) });
    } else {
      joined.push(s);
    }
  }
  return joined;
}

/** A name for what is known whatever loops have stored. */
function isArithmetic(s: Statement): boolean {
  let isKnown = s.do === 'let';
  eachCode([s], ({ code }) => {
    isKnown &&= code !== 'load';
  });
  return isKnown;
}

/** Whether each turn of one loop needs nothing of the other but of the same turn. */
function canJoin(a: For, b: For): boolean {
  const isSameRange = (['axes', 'from', 'below', 'step'] as const).every(
    (key) => JSON.stringify(a[key]) === JSON.stringify(b[key]),
  );
  if (!isSameRange || !isSmall(a) || !isSmall(b)) return false;
  const [inA, inB] = [accessesOf(a), accessesOf(b)];
  const stored = new Set([...inA, ...inB].flatMap(({ array, isStore }) => (isStore ? [array] : [])));
  return [...stored].every((array) => {
    const ofArray = (accesses: readonly Access[]): Access[] => accesses.filter((one) => one.array === array);
    const [first, second] = [ofArray(inA), ofArray(inB)];
    if (first.length === 0 || second.length === 0) return true;
    const [{ place }] = first as [Access];
    return [...first, ...second].every((access) => access.isOfTurn && access.place === place);
  });
}

/** Nothing but numbers computed, read and stored for each kept index. */
const isSmall = ({ body }: For): boolean =>
  body.every((s) => (s.do === 'for' ? isSmall(s) : s.do === 'let' || s.do === 'store'));

interface Access {
  readonly array: string;
  readonly isStore: boolean;
  /** The index, in which loops are called by their axes. */
  readonly place: string;
  /** Whether no two turns of the loops around have the same place: flat indices depend on the loop over each axis. */
  readonly isOfTurn: boolean;
}

function accessesOf(outer: For): Access[] {
  const accesses: Access[] = [];
  const visit = (loop: For, around: readonly string[], known: ReadonlyMap<string, Code>): void => {
    const id = loop.axes.join(' ');
    const loops = [...around, id];
    const named = new Map(known).set(loop.name, { code: 'name', type: 'index', name: id });
    const add = (array: string, at: Code, isStore: boolean): void => {
      const index = resolved(at, named);
      const isOfTurn = loops.every((name) => uses(index, name));
      accesses.push({ array, isStore, place: JSON.stringify(index), isOfTurn });
    };
    const read = (code: Code): void => {
      if (code.code === 'load') add(code.array, code.index, false);
      eachOperand(code, read);
    };
    for (const s of loop.body) {
      codesOf(s).forEach(read);
      if (s.do === 'let' && s.value.type === 'index') named.set(s.name, resolved(s.value, named));
      if (s.do === 'store') add(s.array, s.index, true);
      if (s.do === 'for') visit(s, loops, named);
    }
  };
  visit(outer, [], new Map());
  return accesses;
}

const uses = (code: Code, id: string): boolean =>
  (code.code === 'name' && code.name === id) || operandsOf(code).some((operand) => uses(operand, id));

/** With names replaced by what they stand for. */
const resolved = (code: Code, known: ReadonlyMap<string, Code>): Code =>
  (code.code === 'name' && known.get(code.name)) || mapOperands(code, (inner) => resolved(inner, known));

/** The same with what was computed, read or put into a local array before by its name. */
function reuse(list: readonly Statement[], isLocal: ReadonlySet<string>): Statement[] {
  const names = new Map<string, string>();
  const values = new Map<string, { readonly code: Code; readonly name: Code }>();
  const keep = (code: Code, name: Code): unknown => values.set(JSON.stringify(code), { code, name });
  const find = (code: Code): Code => values.get(JSON.stringify(code))?.name ?? mapOperands(code, find);
  return list.flatMap((statement): Statement[] => {
    const [renamed] = renameAll([statement], (id) => names.get(id) ?? id);
    const s = mapCodes(renamed!, find);
    if (s.do === 'let' && s.value.code === 'name') {
      names.set(s.name, s.value.name);
      return [];
    }
    const stored = new Set<string>();
    eachStatement([s], (inner) => inner.do === 'store' && stored.add(inner.array));
    for (const [key, { code }] of values) if (reads(code, stored)) values.delete(key);
    if (s.do === 'let') keep(s.value, { code: 'name', type: s.value.type, name: s.name });
    if (s.do === 'store' && isLocal.has(s.array) && s.value.code === 'name')
      keep({ code: 'load', type: 'real', array: s.array, index: s.index }, s.value);
    return [s];
  });
}

/** Whether an expression reads one of these arrays. */
function reads(code: Code, arrays: ReadonlySet<string>): boolean {
  if (code.code === 'load' && arrays.has(code.array)) return true;
  return operandsOf(code).some((operand) => reads(operand, arrays));
}

/** Without local arrays that nothing reads. */
function withoutUnread(body: readonly Statement[], isLocal: ReadonlySet<string>): Statement[] {
  const read = new Set<string>();
  eachCode(body, (code) => code.code === 'load' && read.add(code.array));
  const isUnread = (array: string): boolean => isLocal.has(array) && !read.has(array);
  const keep = (list: readonly Statement[]): Statement[] =>
    list
      .filter((s) => !(s.do === 'array' && isUnread(s.name)) && !(s.do === 'store' && isUnread(s.array)))
      .map((s) => ('body' in s ? { ...s, body: keep(s.body) } : s));
  return keep(body);
}
