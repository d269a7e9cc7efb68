/** Puts values that are used once where they are used: code is shorter, and of loads the loops read better. */
import { codesOf, eachOperand, mapOperands, operandsOf } from '../kernel/collect.ts';
import { type Code, isVector, type Statement } from '../kernel/kernel.ts';
import { mapCodes } from '../kernel/rewrite.ts';

type Let = Extract<Statement, { do: 'let' }>;

/** Whether a value may stand in a statement for its name; for others in it values may stand by then. */
type Fits = (value: Code, user: Listed) => boolean;

/** Of loads, and of what is just stored. */
export const inlineLoads = (statements: readonly Statement[]): Statement[] => inline(statements, isReadable);

/** Of all values. */
export const inlineValues = (statements: readonly Statement[]): Statement[] => inline(statements, isAsOften);

function inline(statements: readonly Statement[], fits: Fits): Statement[] {
  const list: Listed[] = statements.map((s) => {
    const statement = 'body' in s && s.do !== 'outlined' ? { ...s, body: inline(s.body, fits) } : s;
    return { statement, uses: usesOf(statement), put: new Map() };
  });
  const users = usersIn(list);
  return list.flatMap(({ statement, put }, at) => {
    const settled = put.size > 0 ? mapCodes(statement, (code) => substitute(code, put)) : statement;
    const user = settled.do === 'let' ? onlyUser(settled, at, list, users, fits) : undefined;
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

/** What is read under a condition is read before, so that no branch waits for memory; of two indices one is used twice. */
const repeating: ReadonlySet<Code['code']> = new Set(['select', 'logic', 'least', 'greatest']);

/** How often a statement uses each name; what is used under a condition or in a loop counts as twice. */
function usesOf(statement: Statement): Map<string, number> {
  const uses = new Map<string, number>();
  const count = (id: string, times: number): unknown => uses.set(id, (uses.get(id) ?? 0) + times);
  const visit = (code: Code, times: number): void => {
    if (code.code === 'name') count(code.name, times);
    eachOperand(code, (operand) => visit(operand, repeating.has(code.code) ? 2 * times : times));
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

/** The only statement that uses a value, if its place is as good: nothing is stored in between that it reads. */
function onlyUser(
  { name: id, value }: Let,
  at: number,
  list: readonly Listed[],
  users: ReadonlyMap<string, readonly number[]>,
  fits: Fits,
): Listed | undefined {
  const [only, ...others] = users.get(id) ?? [];
  if (only === undefined || others.length > 0) return undefined;
  const user = list[only]!;
  if (user.uses.get(id) !== 1 || !fits(value, user)) return undefined;
  const read = readBy(value);
  const isSafe = ({ statement: s }: Listed): boolean =>
    !('body' in s) &&
    s.do !== 'call' &&
    !(s.do === 'store' && read.has(s.array)) &&
    !(s.do === 'assign' && read.has(s.name));
  return list.slice(at + 1, only).every(isSafe) ? user : undefined;
}

/** Loads, and what is just stored. */
function isReadable(value: Code, { statement, put }: Listed): boolean {
  const isStillName = (code: Code): boolean => code.code === 'name' && !put.has(code.name);
  return (
    value.code === 'load' ||
    (statement.do === 'store' &&
      (isStillName(statement.value) || (statement.value.code === 'binary' && isStillName(statement.value.b))))
  );
}

/** Whatever is computed as often as what uses it: for each copy of a vector, or once. */
function isAsOften(value: Code, { statement: s }: Listed): boolean {
  if (s.do === 'rows') return false; // what it says is emitted for several rows, and for those that are left
  return isVector(value) === ('value' in s && isVector(s.value));
}

/** The arrays and names that an expression reads. */
function readBy(code: Code): Set<string> {
  const own =
    code.code === 'load' ? [code.array] : code.code === 'name' || code.code === 'fold' ? [code.name] : [];
  return new Set([...own, ...operandsOf(code).flatMap((operand) => [...readBy(operand)])]);
}
