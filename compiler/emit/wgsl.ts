/** Prints GPU kernels as WGSL modules, each kernel an entry point. */
import { arraysIn, eachCode, eachStatement, namesIn } from '../kernel/collect.ts';
import {
  type Kernel,
  type MergeFunction,
  name,
  type RecordType,
  type ReduceFunction,
  type SharedArray,
  type Statement,
} from '../kernel/kernel.ts';
import { createNames } from '../kernel/names.ts';
import { mapNames, renameAll } from '../kernel/rewrite.ts';
import { printCode, printStatements } from './printer.ts';
import { helpersOf } from './wgsl-helpers.ts';
import { printExchange, printJoin, typeName } from './wgsl-lanes.ts';
import { language, marks, storingTo } from './wgsl-language.ts';

/** How many elements a lane takes in at once. */
const oneAtATime = `alias some = f32; const many = 1u; ${marks.one}`;
/** What comparing them gives, where something does. */
const oneMask = `alias mask = bool; ${marks.one}`;

/** A kernel as a function of a module. */
export interface EntryPoint {
  readonly kernel: Kernel;
  readonly name: string;
  /** Stands above it. */
  readonly comment?: readonly string[];
}

/** The module of one kernel. */
export const printWgsl = (kernel: Kernel, name: string, comment: readonly string[]): string =>
  printModule([{ kernel, name }], comment);

/** A module of kernels with the same uniforms, and the same function that reduces if they are several. */
export function printModule(members: readonly EntryPoint[], comment: readonly string[]): string {
  const [{ kernel }] = members as [EntryPoint];
  const { reduce, uniforms, vector, shared, records = [] } = kernel;
  const all = [...(reduce?.body ?? []), ...members.flatMap((member) => member.kernel.body)];
  const merging = reduce ? statementsOf(reduce.merge) : [];
  const aliases = [...(vector === undefined ? [] : [oneAtATime]), ...(usesMasks(all) ? [oneMask] : [])];
  const fields = uniforms.map(({ name, type }) => `${name}: ${type}`).join(', ');
  const { lines, variablesOf } = declare(members);
  const parts = [
    printComment(comment),
    aliases.join('\n'),
    fields && `struct Numbers { ${fields} }`,
    lines.join('\n'),
    ...records.map(printRecord),
    spreadOver(shared),
    ...helpersOf([...all, ...merging]),
    ...(reduce
      ? [printMerge(reduce.returns, reduce.merge), printExchange(reduce), printReduction(kernel, reduce)]
      : []),
    ...members.map((member) => printEntryPoint(member, variablesOf(member))),
    ...(reduce ? [printJoin(reduce)] : []),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** The module's variables by what a kernel calls its bindings, and which of them has its numbers. */
interface Variables {
  readonly bindings: ReadonlyMap<string, string>;
  readonly numbers: string;
}

/** Variables that the entry points share where they are the same; each has its own bindings, from 0 on. */
function declare(members: readonly EntryPoint[]): {
  readonly lines: readonly string[];
  readonly variablesOf: (member: EntryPoint) => Variables;
} {
  const names = createNames(members.flatMap(({ kernel }) => localsOf(kernel)));
  const taken = new Set<string>();
  const known = new Map<string, string>();
  const variable = (name: string, place: number, declaration: (variable: string) => string): string => {
    const text = declaration(name);
    const id = known.get(text) ?? (taken.has(name) ? names.fresh(`${name}_at_${place}`) : name);
    taken.add(id);
    if (!known.has(text)) lines.push(declaration(id));
    known.set(text, id);
    return id;
  };
  const lines: string[] = [];
  const variables = new Map(
    members.map((member): [EntryPoint, Variables] => {
      const { bindings, uniforms } = member.kernel;
      const vectors = vectorsOf(member.kernel);
      const own = bindings.map(({ name, access }, i) => {
        const type = typeName(vectors.has(name) ? 'vector' : 'real');
        const space = `storage, ${access === 'read' ? 'read' : 'read_write'}`;
        return [
          name,
          variable(name, i, (id) => `@group(0) @binding(${i}) var<${space}> ${id}: array<${type}>;`),
        ] as const;
      });
      const last = bindings.length;
      const numbers =
        uniforms.length === 0
          ? 'numbers'
          : variable('numbers', last, (id) => `@group(0) @binding(${last}) var<uniform> ${id}: Numbers;`);
      return [member, { bindings: new Map(own), numbers }];
    }),
  );
  return { lines, variablesOf: (member) => variables.get(member)! };
}

/** The names that no variable of the module may take. */
function localsOf({ bindings, body, reduce }: Kernel): string[] {
  const locals: string[] = [];
  eachStatement([...(reduce?.body ?? []), ...body], (s) => 'name' in s && locals.push(s.name));
  return [...bindings.map(({ name }) => name), ...locals, 'numbers'];
}

function printEntryPoint({ kernel, name, comment = [] }: EntryPoint, variables: Variables): string {
  const rename = (id: string): string => variables.bindings.get(id) ?? id;
  const isRenamed = [...variables.bindings].some(([id, variable]) => id !== variable);
  const own: Kernel = isRenamed
    ? {
        ...kernel,
        bindings: kernel.bindings.map((binding) => ({ ...binding, name: rename(binding.name) })),
        body: renameAll(kernel.body, rename),
      }
    : kernel;
  const size = kernel.tiles?.isAcross ? 'together, width' : 'width, together';
  const mentioned = namesIn(kernel.body);
  const builtins = Object.entries(places).filter(([id]) => mentioned.has(id));
  const parameters = builtins.map(([id, { builtin, type }]) => `@builtin(${builtin}) ${id}: ${type}`);
  const lines = [
    ...(comment.length > 0 ? [printComment(comment)] : []),
    `@compute @workgroup_size(${size})`,
    `fn ${name}(${parameters.join(', ')}) {`,
    ...(variables.numbers === 'numbers' ? [] : [`  let numbers = ${variables.numbers};`]),
    printBody(own, own.body),
    '}',
  ];
  return lines.join('\n');
}

/** Of kernels for which this is the same, one module can hold all. */
export const reductionText = (kernel: Kernel): string => {
  const { shared, records = [], vector, reduce, bindings } = kernel;
  if (!reduce) return '';
  const arrays = arraysIn(reduce.body);
  const own = bindings.filter(({ name }) => arrays.has(name));
  const { merge } = reduce;
  const parts = [vector, own, shared, records, merge, printReduction({ ...kernel, uniforms: [] }, reduce)];
  return JSON.stringify(parts);
};

function printReduction(kernel: Kernel, { name, parameters, returns, body, result }: ReduceFunction): string {
  const typed = parameters.map((id) => `${id}: ${parameterTypes[id] ?? 'u32'}`);
  return `fn ${name}(${typed.join(', ')}) -> ${typeName(returns)} {
${printBody(kernel, body)}
  return ${printCode(result, language)};
}`;
}

const printComment = (lines: readonly string[]): string =>
  lines.map((line) => `// ${line}`.trimEnd()).join('\n');

/**
 * How many lanes share a kept index, and how many kept indices a workgroup has, unless the runtime says otherwise; and
 * the memory that its lanes share.
 */
function spreadOver(shared: Kernel['shared']): string {
  if (shared.length === 0) return `override width = 1u; override together = ${mostLanes}u;`;
  const lanes = lanesFor(shared);
  const arrays = shared.map(({ name, type }) => `var<workgroup> ${name}: array<${typeName(type)}, team>;`);
  return [`override width = 1u; override together = ${lanes}u; override team = ${lanes}u;`, ...arrays].join(
    '\n',
  );
}
const mostLanes = 64;

/** As many lanes as fit into the workgroup memory that every device has. */
function lanesFor(shared: Kernel['shared']): number {
  const bytes = 4 * shared.reduce((sum, { reals }) => sum + reals, 0);
  return Math.min(mostLanes, Math.max(1, 2 ** Math.floor(Math.log2(16384 / bytes))));
}

/** Statements of a function, after the numbers that they use often. */
function printBody(kernel: Kernel, body: readonly Statement[]): string {
  const uses = usesIn(body);
  const often = kernel.uniforms.filter(({ name }) => (uses.get(name) ?? 0) > 2);
  const lines = often.map(({ name }) => `  let ${name} = numbers.${name};`);
  const seldom = kernel.uniforms.filter((uniform) => !often.includes(uniform));
  const ready = renamed(body, new Set(seldom.map(({ name }) => name)));
  return [...lines, printStatements(ready, storingTo(vectorsOf(kernel)), '  ')].join('\n');
}

/** A struct, and the function that merges two, if it has one. */
function printRecord({ name, members, merge }: RecordType): string {
  const fields = members.map((member) => `${member.name}: ${typeName(member.type)}`).join(', ');
  const struct = `struct ${name} { ${fields} }`;
  return merge ? `${struct}\n\n${printMerge({ name, members }, merge)}` : struct;
}

const statementsOf = ({ name, body, result }: MergeFunction): Statement[] => [
  ...body,
  { do: 'let', name, value: result },
];

function printMerge(type: SharedArray['type'], { name, body, result }: MergeFunction): string {
  const [lines, id] = [printStatements(body, language, '  '), typeName(type)];
  const all = [...(lines ? [lines] : []), `  return ${printCode(result, language)};`].join('\n');
  return `fn ${name}(a: ${id}, b: ${id}) -> ${id} {\n${all}\n}`;
}

/** Where a lane is: tiles are numbered through the first two dimensions, blocks in the third. */
const places = {
  group: { builtin: 'workgroup_id', type: 'vec3u' },
  groups: { builtin: 'num_workgroups', type: 'vec3u' },
  own: { builtin: 'local_invocation_id', type: 'vec3u' },
};

const parameterTypes: { readonly [parameter: string]: string } = {
  group: places.group.type,
  own: places.own.type,
  numbers: 'Numbers',
};

/** How often each name is read. */
function usesIn(body: readonly Statement[]): Map<string, number> {
  const uses = new Map<string, number>();
  eachCode(body, (code) => {
    if (code.code === 'name') uses.set(code.name, (uses.get(code.name) ?? 0) + 1);
  });
  return uses;
}

/** Statements that read some uniforms where they are. */
function renamed(body: readonly Statement[], uniforms: ReadonlySet<string>): Statement[] {
  return mapNames(body, (id, type) => name(uniforms.has(id) ? `numbers.${id}` : id, type));
}

const usesMasks = (body: readonly Statement[]): boolean => {
  let isUsed = false;
  eachCode(body, ({ type, code }) => {
    if (type === 'mask' && (code === 'logic' || code === 'select')) isUsed = true;
  });
  return isUsed;
};

/** The arrays of which several elements are read or written at once. */
function vectorsOf({ bindings, vector }: Kernel): Set<string> {
  const wide = bindings.filter(({ axes }) => vector !== undefined && axes.includes(vector));
  return new Set(wide.map(({ name }) => name));
}
