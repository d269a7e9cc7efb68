/** What a finished body of statements uses: its bindings with their access, and its uniforms. */
import type { Binding, Code, CodeType, Statement, Uniform } from './kernel.ts';
import type { Tensors } from './tensors.ts';

type Tensor = Omit<Binding, 'access'>;

/** Calls `visit` on every expression in the statements, inner ones too. */
export function eachCode(statements: readonly Statement[], visit: (code: Code) => void): void {
  const inside = (code: Code): void => {
    visit(code);
    for (const value of Object.values(code)) {
      if (Array.isArray(value)) value.forEach(inside);
      else if (typeof value === 'object' && value !== null && 'code' in value) inside(value as Code);
    }
  };
  for (const statement of eachStatement(statements)) {
    for (const value of Object.values(statement)) {
      if (typeof value === 'object' && value !== null && 'code' in value) inside(value as Code);
    }
  }
}

/** Every statement, inner ones too. */
export function eachStatement(statements: readonly Statement[]): Statement[] {
  return statements.flatMap((s) => ('body' in s ? [s, ...eachStatement(s.body)] : [s]));
}

export function collectBindings(body: readonly Statement[], tensors: readonly Tensor[]): Binding[] {
  const read = new Set<string>();
  const written = new Set<string>();
  eachCode(body, (code) => code.code === 'load' && read.add(code.array));
  for (const s of eachStatement(body)) if (s.do === 'store') written.add(s.array);
  const unique = [...new Map(tensors.map((tensor) => [tensor.name, tensor])).values()];
  return unique
    .filter(({ name }) => read.has(name) || written.has(name))
    .map((tensor) => {
      const access = !written.has(tensor.name) ? 'read' : read.has(tensor.name) ? 'read_write' : 'write';
      return { ...tensor, access };
    });
}

export function collectUniforms(
  body: readonly Statement[],
  more: readonly Code[],
  tensors: Tensors,
): Uniform[] {
  const found = new Map<string, Uniform>();
  const visit = (code: Code): void => {
    const uniform = tensors.uniformOf(code);
    if (uniform) found.set(uniform.name, uniform);
  };
  eachCode(body, visit);
  eachCode(
    more.map((value) => ({ do: 'let', name: '', value })),
    visit,
  );
  // sizes first, then attributes, each by name, whatever order the code happens to use them in
  return [...found.values()].sort((a, b) =>
    a.type === b.type ? (a.name < b.name ? -1 : 1) : a.type === 'u32' ? -1 : 1,
  );
}

/** Without the locals that nothing uses. */
export function prune(statements: readonly Statement[]): Statement[] {
  let current = [...statements];
  for (;;) {
    const used = new Set<string>();
    eachCode(current, (code) => code.code === 'name' && used.add(code.name));
    let removed = false;
    const keep = (list: readonly Statement[]): Statement[] =>
      list.flatMap((s): Statement[] => {
        if (s.do === 'let' && !used.has(s.name)) {
          removed = true;
          return [];
        }
        return ['body' in s ? { ...s, body: keep(s.body) } : s];
      });
    current = keep(current);
    if (!removed) return current;
  }
}

/** The same expression with other names. */
export function mapCode(code: Code, rename: (id: string, type: CodeType) => Code): Code {
  if (code.code === 'name') return rename(code.name, code.type);
  const inside = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inside);
    return typeof value === 'object' && value !== null && 'code' in value
      ? mapCode(value as Code, rename)
      : value;
  };
  return Object.fromEntries(Object.entries(code).map(([k, value]) => [k, inside(value)])) as Code;
}
