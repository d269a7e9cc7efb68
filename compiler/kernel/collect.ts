/** What a finished body of statements uses: its bindings with their access, and its uniforms. */
import type { Binding, Code, CodeType, Statement, Uniform } from './kernel.ts';
import type { Tensors } from './tensors.ts';

type Tensor = Omit<Binding, 'access'>;

/** Calls `visit` on the expressions that an expression is made of. Passes spend their time here, so no list is made. */
export function eachOperand(code: Code, visit: (operand: Code) => void): void {
  switch (code.code) {
    case 'number':
    case 'truth':
    case 'name':
    case 'own':
    case 'fold':
      return;
    case 'load':
      visit(code.index);
      return;
    case 'negate':
    case 'sqrt':
    case 'rsqrt':
    case 'real':
    case 'splat':
    case 'first':
    case 'not':
      visit(code.x);
      return;
    case 'call':
    case 'make':
      for (let i = 0; i < code.args.length; i++) visit(code.args[i]!);
      return;
    case 'select':
      visit(code.test);
      visit(code.then);
      visit(code.else);
      return;
    default:
      visit(code.a);
      visit(code.b);
  }
}

/** The expressions that an expression is made of. */
export function operandsOf(code: Code): readonly Code[] {
  const operands: Code[] = [];
  eachOperand(code, (operand) => operands.push(operand));
  return operands;
}

type CodeField<S> = { [K in keyof S]: S[K] extends Code ? K : never }[keyof S];

/** The fields of each statement that are expressions, in order. */
const codeFields: {
  readonly [D in Statement['do']]: { readonly [F in CodeField<Extract<Statement, { do: D }>>]: true };
} = {
  let: { value: true },
  var: { value: true },
  assign: { value: true },
  array: { length: true },
  store: { index: true, value: true },
  for: { from: true, below: true, step: true },
  outlined: {},
  accumulator: {},
  lanes: { from: true, below: true },
  rows: { step: true, from: true, together: true, distance: true, next: true, below: true },
  each: {},
  repeat: { at: true, width: true, times: true, place: true },
  run: { from: true, below: true },
  call: { from: true, below: true },
  if: { test: true },
  return_if: { test: true },
};
export const codeKeys: { readonly [what: string]: readonly string[] } = Object.fromEntries(
  Object.entries(codeFields).map(([what, fields]) => [what, Object.keys(fields)]),
);

/** The expressions in a statement itself, not in those inside it. */
export function codesOf(statement: Statement): Code[] {
  const fields = statement as unknown as { readonly [key: string]: Code };
  const codes: Code[] = [];
  for (const key of codeKeys[statement.do]!) codes.push(fields[key]!);
  return codes;
}

/** Calls `visit` on every expression in the statements, inner ones too. */
export function eachCode(statements: readonly Statement[], visit: (code: Code) => void): void {
  const inside = (code: Code): void => {
    visit(code);
    eachOperand(code, inside);
  };
  eachStatement(statements, (statement) => codesOf(statement).forEach(inside));
}

/** Calls `visit` on every statement, inner ones too. */
export function eachStatement(statements: readonly Statement[], visit: (statement: Statement) => void): void {
  for (const statement of statements) {
    visit(statement);
    if ('body' in statement) eachStatement(statement.body, visit);
  }
}

/** Those of the tensors that the body reads or writes, in their order, each name once. */
export function collectBindings(body: readonly Statement[], tensors: readonly Tensor[]): Binding[] {
  const read = new Set<string>();
  const written = new Set<string>();
  eachCode(body, (code) => code.code === 'load' && read.add(code.array));
  eachStatement(body, (s) => {
    if (s.do === 'store') written.add(s.array);
    if (s.do === 'repeat') read.add(s.array);
  });
  const unique = [...new Map(tensors.map((tensor) => [tensor.name, tensor])).values()];
  return unique
    .filter(({ name }) => read.has(name) || written.has(name))
    .map((tensor) => {
      const access = !written.has(tensor.name) ? 'read' : read.has(tensor.name) ? 'read_write' : 'write';
      return { ...tensor, access };
    });
}

/** A name without its members. */
const rootOf = (name: string): string => name.replace(/\..*/, '');

/** The names in the statements' expressions, without their members. */
export function namesIn(body: readonly Statement[]): Set<string> {
  const names = new Set<string>();
  eachCode(body, (code) => {
    if (code.code === 'name') names.add(rootOf(code.name));
  });
  return names;
}

/** The arrays that the statements read or write. */
export function arraysIn(body: readonly Statement[]): Set<string> {
  const arrays = new Set<string>();
  eachCode(body, (code) => {
    if (code.code === 'load') arrays.add(code.array);
  });
  eachStatement(body, (s) => {
    if (s.do === 'store') arrays.add(s.array);
  });
  return arrays;
}

/** The sizes and attributes that the body needs, and those that more code does. */
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

/** Without the locals that nothing uses, nor those that only such locals use. */
export function prune(statements: readonly Statement[]): Statement[] {
  const uses = new Map<string, number>();
  const values = new Map<string, Code>();
  const use = (name: string): void => {
    const id = rootOf(name);
    uses.set(id, (uses.get(id) ?? 0) + 1);
  };
  eachCode(statements, (code) => {
    if (code.code === 'name' || code.code === 'fold') use(code.name);
    if (code.code === 'load') use(code.array);
  });
  eachStatement(statements, (s) => {
    if (s.do === 'let') values.set(s.name, s.value);
    if (s.do === 'store') use(s.array);
    if (s.do === 'repeat') use(s.into);
  });
  const unused = [...values.keys()].filter((id) => !uses.has(id));
  for (const id of unused) {
    const value = values.get(id)!;
    eachCode([{ do: 'let', name: id, value }], (code) => {
      if (code.code !== 'name') return;
      const used = rootOf(code.name);
      const left = uses.get(used)! - 1;
      uses.set(used, left);
      if (left === 0 && values.has(used)) unused.push(used);
    });
  }
  const gone = new Set(unused);
  const keep = (list: readonly Statement[]): Statement[] =>
    list
      .filter((s) => s.do !== 'let' || !gone.has(s.name))
      .map((s) => ('body' in s ? { ...s, body: keep(s.body) } : s));
  return keep(statements);
}

/** The same expression with other operands; itself if they are the same. It is what passes spend their time on. */
export function mapOperands<C extends Code>(code: C, change: (code: Code) => Code): C {
  const changed = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (!Array.isArray(value)) return 'code' in value ? change(value as Code) : value;
    const all = value.map(changed);
    return all.every((one, i) => one === value[i]) ? value : all;
  };
  let copy: C | undefined;
  for (const key in code) {
    const value = changed(code[key]);
    if (value === code[key]) continue;
    copy ??= { ...code };
    copy[key] = value as C[typeof key];
  }
  return copy ?? code;
}

/** The same expression with other names. */
export function mapCode(code: Code, rename: (id: string, type: CodeType) => Code): Code {
  const change = (inner: Code): Code =>
    inner.code === 'name' ? rename(inner.name, inner.type) : mapOperands(inner, change);
  return change(code);
}
