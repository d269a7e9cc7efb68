/** Changes expressions inside expressions and statements. */
import type { Code, Statement } from '../kernel/kernel.ts';

/** The same expression with other operands. */
export function mapOperands(code: Code, change: (code: Code) => Code): Code {
  const inside = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inside);
    return typeof value === 'object' && value !== null && 'code' in value ? change(value as Code) : value;
  };
  return Object.fromEntries(Object.entries(code).map(([k, value]) => [k, inside(value)])) as Code;
}

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
    const inner = mapOperands(code, change);
    if (inner.code === 'name') return { ...inner, name: rename(inner.name) };
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
