/** What is known of statements before they are emitted as WebAssembly. */
import { eachCode, eachStatement } from '../kernel/collect.ts';
import type { Code, Statement } from '../kernel/kernel.ts';
import { mentions } from './wasm-addresses.ts';

type Let = Extract<Statement, { do: 'let' }>;

/** Names that statements define. */
export function namesDeclaredIn(body: readonly Statement[]): Set<string> {
  const names = new Set<string>();
  eachStatement(body, (s) => {
    if ('name' in s && s.do !== 'assign') names.add(s.name);
  });
  return names;
}

/** Whether what is known of a row grows evenly from row to row. */
export function isLinear(index: Code, row: string, known: readonly Let[]): boolean {
  const isSame = (code: Code): boolean =>
    !mentions(code, row) && known.every(({ name, value }) => !mentions(code, name) || isSame(value));
  const visit = (code: Code): boolean => {
    if (isSame(code)) return true;
    if (code.code === 'name') {
      const value = known.find(({ name }) => name === code.name)?.value;
      return value === undefined || visit(value);
    }
    if (code.code !== 'binary') return false;
    const { operator, a, b } = code;
    if (operator === '+' || operator === '-') return visit(a) && visit(b);
    return operator === '*' && ((isSame(a) && visit(b)) || (isSame(b) && visit(a)));
  };
  return visit(index);
}

/** Whether it makes no difference if statements are run again: none reads what another stores. */
export function isRepeatable(body: readonly Statement[]): boolean {
  const stored = new Set<string>();
  eachStatement(body, (s) => s.do === 'store' && stored.add(s.array));
  let isReadAgain = false;
  eachCode(body, (code) => {
    isReadAgain ||= code.code === 'load' && stored.has(code.array);
  });
  return stored.size > 0 && !isReadAgain;
}
