/** Puts loads that are used once where they are used: the loops read better, and are shorter. */
import { codesOf, eachOperand, mapOperands, operandsOf } from '../kernel/collect.ts';
import type { Code, Statement } from '../kernel/kernel.ts';
import { mapCodes } from '../kernel/rewrite.ts';

type Let = Extract<Statement, { do: 'let' }>;

export function inlineLoads(statements: readonly Statement[]): Statement[] {
  const list: Listed[] = statements.map((s) => {
    const statement = 'body' in s && s.do !== 'outlined' ? { ...s, body: inlineLoads(s.body) } : s;
    return { statement, uses: usesOf(statement), put: new Map() };
  });
  const users = usersIn(list);
  return list.flatMap(({ statement, put }, at) => {
    const settled = put.size > 0 ? mapCodes(statement, (code) => substitute(code, put)) : statement;
    const user = settled.do === 'let' ? onlyUser(settled, at, list, users) : undefined;
    if (settled.do !== 'let' || !user) return [settled];
    user.put.set(settled.name, settled.value);
    return [];
  });
}

/** A statement with how often it uses each name, and what is put in the place of names. */
interface Listed {
  readonly statement: Statement;
  readonly uses: ReadonlyMap<string, number>;
  readonly put: Map<string, Code>;
}

const substitute = (code: Code, put: ReadonlyMap<string, Code>): Code =>
  (code.code === 'name' && put.get(code.name)) || mapOperands(code, (operand) => substitute(operand, put));

/** How often a statement uses each name; what is used under a condition or in a loop counts as twice. */
function usesOf(statement: Statement): Map<string, number> {
  const uses = new Map<string, number>();
  const count = (id: string, times: number): unknown => uses.set(id, (uses.get(id) ?? 0) + times);
  const visit = (code: Code, times: number): void => {
    if (code.code === 'name') count(code.name, times);
    // what is read under a condition is read before, so that no branch waits for memory
    const inner = code.code === 'select' || code.code === 'logic' ? 2 * times : times;
    eachOperand(code, (operand) => visit(operand, inner));
  };
  for (const code of codesOf(statement)) visit(code, 1);
  if ('body' in statement)
    for (const inner of statement.body) for (const [id, times] of usesOf(inner)) count(id, 2 * times);
  return uses;
}

/** Where each name is used. */
function usersIn(list: readonly Listed[]): Map<string, number[]> {
  const users = new Map<string, number[]>();
  for (const [at, { uses }] of list.entries())
    for (const id of uses.keys()) users.set(id, [...(users.get(id) ?? []), at]);
  return users;
}

/**
 * The only statement that uses a value, where it can stand for the value's name: loads, and what is just stored, if
 * nothing is stored in between that they read.
 */
function onlyUser(
  { name: id, value }: Let,
  at: number,
  list: readonly Listed[],
  users: ReadonlyMap<string, readonly number[]>,
): Listed | undefined {
  const [only, ...others] = users.get(id) ?? [];
  if (only === undefined || others.length > 0) return undefined;
  const user = list[only]!;
  if (user.uses.get(id) !== 1) return undefined;
  const { statement, put } = user;
  const isStillName = (code: Code): boolean => code.code === 'name' && !put.has(code.name);
  const isStored =
    statement.do === 'store' &&
    (isStillName(statement.value) || (statement.value.code === 'binary' && isStillName(statement.value.b)));
  if (value.code !== 'load' && !isStored) return undefined;
  const read = arraysIn(value);
  const isSafe = ({ statement: s }: Listed): boolean =>
    !('body' in s) && !(s.do === 'store' && read.has(s.array));
  return list.slice(at + 1, only).every(isSafe) ? user : undefined;
}

function arraysIn(code: Code): Set<string> {
  const own = code.code === 'load' ? [code.array] : [];
  return new Set([...own, ...operandsOf(code).flatMap((operand) => [...arraysIn(operand)])]);
}
