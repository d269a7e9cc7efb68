/**
 * Lets one kernel do what others do with fewer tensors: what only tensors that may be absent need is put under a
 * condition that they are there, outside the loops over elements, and reads of them say what is read instead.
 */
import { arraysIn, codesOf, eachCode, mapOperands, operandsOf } from './collect.ts';
import { type Code, name, type Statement } from './kernel.ts';
import { mapCodes } from './rewrite.ts';

/** A set of calls, one bit each. */
export type Calls = bigint;

const isPart = (a: Calls, b: Calls): boolean => (a & ~b) === 0n;

/** A tensor that is absent in some calls. */
export interface Optional {
  readonly name: string;
  /** The calls that pass it. */
  readonly calls: Calls;
  /** What is read where it is absent. */
  readonly absent: number;
}

/** In which calls a statement is needed. */
export type Needs = (statement: Statement) => Calls;

/** From the arrays that callers pass, each with the calls that want it written. */
export function needsOf(body: readonly Statement[], wanted: ReadonlyMap<string, Calls>): Needs {
  const needs = new Map<Statement, Calls>();
  const ofName = new Map(wanted);
  let isSettled = true;
  const use = (id: string, calls: Calls): void => {
    const before = ofName.get(id) ?? 0n;
    if (isPart(calls, before)) return;
    ofName.set(id, before | calls);
    isSettled = false;
  };
  const useIn = (code: Code, calls: Calls): void => {
    if (code.code === 'name' || code.code === 'fold') use(code.name, calls);
    if (code.code === 'load') use(code.array, calls);
    for (const operand of operandsOf(code)) useIn(operand, calls);
  };
  const visit = (s: Statement): Calls => {
    const id = s.do === 'store' ? s.array : 'name' in s ? s.name : '';
    const calls = 'body' in s ? visitAll(s.body) : (ofName.get(id) ?? 0n);
    needs.set(s, calls);
    for (const code of codesOf(s)) useIn(code, calls);
    return calls;
  };
  const visitAll = (list: readonly Statement[]): Calls =>
    [...list].reverse().reduce((calls, s) => calls | visit(s), 0n);
  do {
    isSettled = true;
    visitAll(body);
  } while (!isSettled);
  return (statement) => needs.get(statement)!;
}

/** The body with what not all calls need under conditions. */
export function guard(
  body: readonly Statement[],
  needs: Needs,
  optional: readonly Optional[],
  all: Calls,
): Statement[] {
  const known = new Map(optional.map((tensor) => [tensor.name, tensor]));

  /** Statements that run in some calls, in which all of `there` are passed. */
  const guarded = (list: readonly Statement[], calls: Calls, there: readonly Optional[]): Statement[] =>
    runsOf(sink(list, needs, calls), needs, calls).flatMap((run): Statement[] => {
      if (run.calls === calls) return run.statements.map((s) => open(s, calls, there));
      const own = optional.filter(
        (o) => isPart(run.calls, o.calls) && arraysIn(run.statements).has(o.name) && !there.includes(o),
      );
      const isExact = own.reduce((rest, o) => rest & o.calls, calls) === run.calls;
      const test = isExact ? joined('and', own) : joined('or', someOf(optional, run.calls, calls));
      return [
        { do: 'if', test, body: guarded(run.statements, run.calls, isExact ? [...there, ...own] : there) },
      ];
    });

  const open = (s: Statement, calls: Calls, there: readonly Optional[]): Statement => {
    const read = mapCodes(s, (code) => readOptional(code, known, there));
    if (!('body' in read)) return read;
    // no conditions in loops over elements
    if (read.do === 'outlined' || read.do === 'lanes') return deep(read, there);
    return { ...read, body: guarded(read.body, calls, there) };
  };
  const deep = <S extends Statement>(s: S, there: readonly Optional[]): S => {
    const read = mapCodes(s, (code) => readOptional(code, known, there));
    return ('body' in read ? { ...read, body: read.body.map((one) => deep(one, there)) } : read) as S;
  };
  return guarded(body, all, []);
}

function readOptional(code: Code, known: ReadonlyMap<string, Optional>, there: readonly Optional[]): Code {
  const inner = mapOperands(code, (operand) => readOptional(operand, known, there));
  const tensor = inner.code === 'load' ? known.get(inner.array) : undefined;
  return inner.code === 'load' && tensor && !there.includes(tensor)
    ? { ...inner, absent: tensor.absent }
    : inner;
}

const joined = (operator: 'and' | 'or', tensors: readonly Optional[]): Code =>
  tensors
    .map(({ name: id }) => name(id, 'bool'))
    .reduce((a, b) => ({ code: 'logic', type: 'bool', operator, a, b }));

/** Tensors of which in just the calls wanted one is passed. */
function someOf(optional: readonly Optional[], wanted: Calls, among: Calls): Optional[] {
  let left = wanted;
  return optional.filter((o) => {
    const calls = o.calls & among;
    if (!isPart(calls, wanted) || (calls & left) === 0n) return false;
    left &= ~calls;
    return true;
  });
}

interface Run {
  readonly calls: Calls;
  readonly statements: readonly Statement[];
}

/** Neighbours that are needed in the same calls. What only declares names, or does for others, runs in all calls. */
function runsOf(list: readonly Statement[], needs: Needs, all: Calls): Run[] {
  const runs: { calls: Calls; statements: Statement[] }[] = [];
  for (const s of list) {
    const calls = needs(s);
    if (calls === 0n) continue;
    if (runs.at(-1)?.calls === calls) runs.at(-1)!.statements.push(s);
    else runs.push({ calls, statements: [s] });
  }
  return runs.flatMap(({ calls, statements }): Run[] => {
    if (calls === all || !statements.some(isEffect)) return [{ calls: all, statements }];
    const outside = list.filter((s) => !statements.includes(s));
    const escaped: Statement[] = [];
    for (const s of [...statements].reverse())
      if (!isEffect(s) && [...outside, ...escaped].some((user) => uses(user, s))) escaped.unshift(s);
    const rest = statements.filter((s) => !escaped.includes(s));
    return [
      { calls: all, statements: escaped },
      { calls, statements: rest },
    ];
  });
}

const isEffect = (s: Statement): boolean => 'body' in s || s.do === 'store';

/** What few calls need right before what uses it first, so that one condition has both. */
function sink(list: readonly Statement[], needs: Needs, all: Calls): readonly Statement[] {
  const sunk = [...list];
  for (let at = list.length - 1; at >= 0; at--) {
    const s = sunk[at]!;
    if (s.do !== 'let' || needs(s) === all) continue;
    const user = sunk.findIndex((other, i) => i > at && (uses(other, s) || overwrites(other, s)));
    if (user < 0) continue;
    sunk.splice(user, 0, s);
    sunk.splice(at, 1);
  }
  return sunk;
}

/** Whether a statement uses what another declares. */
function uses(user: Statement, declaration: Statement): boolean {
  if (!('name' in declaration)) return false;
  let isFound = arraysIn([user]).has(declaration.name);
  eachCode([user], (code) => {
    if ((code.code === 'name' || code.code === 'fold') && code.name === declaration.name) isFound = true;
  });
  return isFound;
}

/** Whether a statement stores into what another reads. */
function overwrites(writer: Statement, reader: Statement): boolean {
  let isFound = false;
  eachCode([reader], (code) => {
    if (code.code === 'load' && storesInto(writer, code.array)) isFound = true;
  });
  return isFound;
}

const storesInto = (s: Statement, array: string): boolean =>
  (s.do === 'store' && s.array === array) ||
  ('body' in s && s.body.some((inner) => storesInto(inner, array)));
