/** Puts loads that are used once where they are used: the loops read better, and are shorter. */
import { codesOf, mapOperands, operandsOf } from '../kernel/collect.ts';
import type { Code, Statement } from '../kernel/kernel.ts';
import { mapCodes } from './rewrite.ts';

type Let = Extract<Statement, { do: 'let' }>;

export function inlineLoads(statements: readonly Statement[]): Statement[] {
  const result: Statement[] = [];
  let rest = statements.map(
    (s): Statement => ('body' in s && s.do !== 'outlined' ? { ...s, body: inlineLoads(s.body) } : s),
  );
  while (rest.length > 0) {
    const [first, ...later] = rest as [Statement, ...Statement[]];
    const target = first.do === 'let' ? onlyUser(first, later) : -1;
    rest = later;
    if (target < 0) result.push(first);
    else if (first.do === 'let') {
      const put = (code: Code): Code =>
        code.code === 'name' && code.name === first.name ? first.value : mapOperands(code, put);
      rest[target] = mapCodes(rest[target]!, put);
    }
  }
  return result;
}

const usesIn = (code: Code, id: string): number => {
  if (code.code === 'name' && code.name === id) return 1;
  // what is read under a condition is read before, so that no branch waits for memory
  const weight = code.code === 'select' || code.code === 'logic' ? 2 : 1;
  return operandsOf(code).reduce((n, operand) => n + weight * usesIn(operand, id), 0);
};

/**
 * The only statement that uses a value, where it can stand for the value's name: loads, and what is just stored, if
 * nothing is stored in between that they read.
 */
function onlyUser({ name: id, value }: Let, later: readonly Statement[]): number {
  const uses = (s: Statement): number =>
    codesOf(s).reduce((n, code) => n + usesIn(code, id), 0) +
    ('body' in s ? 2 * s.body.reduce((n, inner) => n + uses(inner), 0) : 0);
  const counts = later.map(uses);
  if (counts.reduce((a, b) => a + b, 0) !== 1) return -1;
  const at = counts.indexOf(1);
  const user = later[at]!;
  const isStored =
    user.do === 'store' && (isName(user.value) || (user.value.code === 'binary' && isName(user.value.b)));
  if (value.code !== 'load' && !isStored) return -1;
  const read = arraysIn(value);
  const isSafe = later.slice(0, at).every((s) => !('body' in s) && !(s.do === 'store' && read.has(s.array)));
  return isSafe ? at : -1;
}

const isName = ({ code }: Code): boolean => code === 'name';

function arraysIn(code: Code): Set<string> {
  const own = code.code === 'load' ? [code.array] : [];
  return new Set([...own, ...operandsOf(code).flatMap((operand) => [...arraysIn(operand)])]);
}
