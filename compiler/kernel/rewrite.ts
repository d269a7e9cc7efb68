/** Changes expressions inside expressions and statements. */
import { mapOperands } from './collect.ts';
import type { Code, Statement } from './kernel.ts';

const codeKeys = ['value', 'index', 'length', 'test', 'from', 'below', 'step'] as const;

/** The same statement with other expressions; those of inner statements stay. */
export function mapCodes(statement: Statement, change: (code: Code) => Code): Statement {
  const copy: { [key: string]: unknown } = { ...statement };
  for (const key of codeKeys) {
    const value = copy[key];
    if (typeof value === 'object' && value !== null) copy[key] = change(value as Code);
  }
  return copy as Statement;
}

/** Statements with other names for all that they declare, use, read and store into. */
export function renameAll(statements: readonly Statement[], rename: (id: string) => string): Statement[] {
  const change = (code: Code): Code => {
    if (code.code === 'name') return { ...code, name: rename(code.name) };
    const inner = mapOperands(code, change);
    return inner.code === 'load' ? { ...inner, array: rename(inner.array) } : inner;
  };
  return statements.map((s) => {
    if (s.do === 'outlined') return s;
    const copy = mapCodes(s, change);
    const named = {
      ...copy,
      ...('name' in copy && { name: rename(copy.name) }),
      ...(copy.do === 'var' && copy.copies && { copies: copy.copies.map(rename) }),
      ...('array' in copy && { array: rename(copy.array) }),
      ...('body' in copy && { body: renameAll(copy.body, rename) }),
    };
    return named as Statement;
  });
}
