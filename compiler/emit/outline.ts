/** The loops of CPU kernels as functions: where those of several kernels are the same, they are one function. */
import { codesOf, eachStatement, operandsOf } from '../kernel/collect.ts';
import type { Code, CodeType, Kernel, Statement } from '../kernel/kernel.ts';
import { createNames, type Names } from '../kernel/names.ts';
import { renameAll } from '../kernel/rewrite.ts';
import { handOverByName } from './hand-over.ts';
import { inlineLoads } from './inline.ts';
import { type Language, printStatements } from './printer.ts';
import { unroll } from './unroll.ts';

type Outlined = Extract<Statement, { do: 'outlined' }>;

/** Of an array that lives as long as the call `Float64Array`, of any other what callers pass. */
type ParameterType = 'number' | 'boolean' | 'Floats' | 'Floats | undefined' | 'Float64Array';
interface Parameter {
  readonly name: string;
  readonly type: ParameterType;
}

export interface LoopFunction {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly body: readonly Statement[];
}

export interface Outline {
  readonly functions: readonly LoopFunction[];
  /** The statements of a kernel, with those loops in place that it alone has. */
  readonly bodyOf: (kernel: Kernel) => Statement[];
  /** The call that stands for what was outlined; names are given anew by `rename`. */
  readonly callOf: (statement: Outlined, rename: (id: string) => string) => string;
}

interface Candidate {
  readonly statement: Outlined;
  readonly body: readonly Statement[];
  readonly parameters: readonly Parameter[];
}

export function outline(kernels: readonly Kernel[], language: Language): Outline {
  const candidates = new Map<string, Candidate[]>();
  for (const kernel of kernels) {
    const arrays = localArrays(kernel);
    eachStatement(kernel.body, (statement) => {
      if (statement.do !== 'outlined') return;
      const body = inlineLoads(unroll(statement.body));
      const parameters = parametersOf(body, arrays);
      const key = contentOf(body, parameters, language);
      candidates.set(key, [...(candidates.get(key) ?? []), { statement, body, parameters }]);
    });
  }
  const names = createNames(kernels.flatMap(namesDeclaredIn));
  const functions: LoopFunction[] = [];
  const calls = new Map<Outlined, { name: string; parameters: readonly Parameter[] }>();
  for (const members of candidates.values()) {
    const [{ statement, body, parameters }] = members as [Candidate];
    if (members.length === 1) continue;
    const shared = nameFunction(statement, parameters, body, names);
    functions.push(shared);
    for (const member of members)
      calls.set(member.statement, { name: shared.name, parameters: member.parameters });
  }
  const inPlace = (statements: readonly Statement[]): Statement[] =>
    statements.flatMap((s): Statement[] => {
      if (s.do === 'outlined') return calls.has(s) ? [s] : [...s.body];
      return ['body' in s ? { ...s, body: inPlace(s.body) } : s];
    });
  const callOf: Outline['callOf'] = (statement, rename) => {
    const { name, parameters } = calls.get(statement)!;
    return `${name}(${parameters.map((parameter) => rename(parameter.name)).join(', ')});`;
  };
  const bodyOf: Outline['bodyOf'] = ({ body }) => {
    const whole = inPlace(body);
    const passed = new Set<string>();
    eachStatement(whole, (s) => {
      if (s.do === 'outlined') for (const { name } of calls.get(s)!.parameters) passed.add(name);
    });
    return inlineLoads(unroll(handOverByName(whole, passed)));
  };
  return { functions, callOf, bodyOf };
}

/** A loop's function has names of its own, without the numbers that kept them apart in its kernel. */
function nameFunction(
  { name }: Outlined,
  parameters: readonly Parameter[],
  body: readonly Statement[],
  names: Names,
): LoopFunction {
  const rename = renaming([]);
  const named = parameters.map(({ name: id, type }) => ({ name: rename(id), type }));
  return { name: names.fresh(name), parameters: named, body: renameAll(body, rename) };
}

/** Gives names the smallest number that keeps them apart; those `kept` stay. */
export function renaming(kept: readonly string[]): (id: string) => string {
  const own = createNames(kept);
  const renamed = new Map(kept.map((id) => [id, id]));
  return (id) => {
    const [, base, copy = ''] = /^(.*?)(\$\w+)?$/.exec(id)!;
    const known = renamed.get(base!) ?? own.fresh(base!.replace(/(_\d+)+$/, ''));
    renamed.set(base!, known);
    return `${known}${copy}`;
  };
}

function localArrays({ body }: Kernel): Set<string> {
  const arrays = new Set<string>();
  eachStatement(body, (s) => s.do === 'array' && arrays.add(s.name));
  return arrays;
}

const declares = (s: Statement): string[] =>
  'name' in s && s.do !== 'outlined' && s.do !== 'assign'
    ? [s.name, ...(s.do === 'var' ? (s.copies ?? []) : [])]
    : [];

function namesDeclaredIn({ bindings, uniforms, body }: Kernel): string[] {
  const names = [...bindings, ...uniforms].map(({ name }) => name);
  eachStatement(body, (s) => names.push(...declares(s)));
  return names;
}

/** What the statements use and do not declare, in the order of use: arrays, then numbers. */
function parametersOf(body: readonly Statement[], local: ReadonlySet<string>): Parameter[] {
  const declared = new Set<string>();
  eachStatement(body, (s) => {
    for (const id of declares(s)) declared.add(id);
  });
  const arrays = new Map<string, ParameterType>();
  const numbers = new Map<string, ParameterType>();
  const typeOf = (type: CodeType): ParameterType => (type === 'bool' ? 'boolean' : 'number');
  const useArray = (id: string, isOptional = false): unknown =>
    arrays.set(id, local.has(id) ? 'Float64Array' : isOptional ? 'Floats | undefined' : 'Floats');
  const visit = (code: Code): void => {
    if (code.code === 'name' && !declared.has(code.name)) numbers.set(code.name, typeOf(code.type));
    if (code.code === 'load') useArray(code.array, code.absent !== undefined);
    operandsOf(code).forEach(visit);
  };
  eachStatement(body, (s) => {
    codesOf(s).forEach(visit);
    if (s.do === 'store') useArray(s.array);
  });
  return [...arrays, ...numbers].map(([name, type]) => ({ name, type }));
}

/** The text of a function in which names do not matter. */
function contentOf(body: readonly Statement[], parameters: readonly Parameter[], language: Language): string {
  const text = printStatements(body, language, '');
  const places = new Map<string, string>();
  for (const { name } of parameters) places.set(name, `$${places.size}`);
  eachStatement(body, (s) => {
    for (const id of declares(s)) if (!places.has(id)) places.set(id, `$${places.size}`);
  });
  const types = parameters.map(({ type }) => type).join(' ');
  return `${types}\n${text.replace(/[A-Za-z_][\w$]*/g, (word) => places.get(word) ?? word)}`;
}
