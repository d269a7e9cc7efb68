/** Changes expressions inside statements, and names. */
import { codeKeys, mapCode, mapOperands } from './collect.ts';
import type { Code, CodeType, Statement } from './kernel.ts';

/** The same statement with other expressions; those of inner statements stay. */
export function mapCodes<S extends Statement>(statement: S, change: (code: Code) => Code): S {
  const copy = { ...statement } as unknown as { [key: string]: Code };
  for (const key of codeKeys[statement.do]!) copy[key] = change(copy[key]!);
  return copy as unknown as S;
}

/** The same statements with other names in their expressions; what they declare keeps its own, accumulators too. */
export const mapNames = (
  statements: readonly Statement[],
  rename: (id: string, type: CodeType) => Code,
): Statement[] =>
  statements.map((s) => {
    const copy = mapCodes(s, (code) => mapCode(code, rename));
    return 'body' in copy ? { ...copy, body: mapNames(copy.body, rename) } : copy;
  });

/** Statements with other names for all that they declare, use, read and store into. */
export function renameAll(statements: readonly Statement[], rename: (id: string) => string): Statement[] {
  const change = (code: Code): Code => {
    if (code.code === 'name') return { ...code, name: rename(code.name) };
    const inner = mapOperands(code, change);
    if (inner.code === 'fold') return { ...inner, name: rename(inner.name) };
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
      ...('into' in copy && { into: rename(copy.into) }),
      ...('body' in copy && { body: renameAll(copy.body, rename) }),
    };
    return named as Statement;
  });
}
