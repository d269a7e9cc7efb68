/** Prints GPU kernels as WGSL modules, each kernel an entry point. */
import type { Call } from '../graph/expr.ts';
import { arraysIn, eachCode, eachStatement, mapNames, namesIn } from '../kernel/collect.ts';
import {
  type Code,
  type CodeType,
  isIndex,
  type Kernel,
  type LaneMerge,
  type MergeFunction,
  name,
  type RecordType,
  type ReduceFunction,
  type SharedArray,
  type Statement,
} from '../kernel/kernel.ts';
import { createNames } from '../kernel/names.ts';
import { renameAll } from '../kernel/rewrite.ts';
import { type Language, printCode, printStatements } from './printer.ts';
import { printExchange, printJoin, typeName } from './wgsl-lanes.ts';

/**
 * Functions that WGSL lacks, or has with fewer guarantees than a gradient needs. `T` is the type they are of, and `@`
 * is before what they call in turn.
 */
const helpers = {
  infinity: `/** Not a constant expression, which may not be infinite. */
fn infinity(sign: u32) -> f32 {
  var bits = 0x7f800000u | sign;
  return bitcast<f32>(bits);
}`,
  maximum: `/** The larger of two; NaN if either is, which max() does not promise. */
fn maximum(a: T, b: T) -> T {
  return select(b, a, (a > b) | (a != a));
}`,
  minimum: `/** The smaller of two; NaN if either is, which min() does not promise. */
fn minimum(a: T, b: T) -> T {
  return select(b, a, (a < b) | (a != a));
}`,
  sigmoid: `/** 1 / (1 + e^-x), without overflow. */
fn sigmoid(x: T) -> T {
  let t = exp(-abs(x));
  return select(T(1.0), t, x < T(0.0)) / (1.0 + t);
}`,
  softplus: `/** log(1 + e^x), without overflow. */
fn softplus(x: T) -> T {
  return max(x, T(0.0)) + @log1p(exp(-abs(x)));
}`,
  log1p: `/** log(1 + x), exact for small x too (Kahan). */
fn log1p(x: T) -> T {
  let near = x * (1.0 - x * (0.5 - x * (0.33333333 - x * (0.25 - x * 0.2))));
  return select(log(1.0 + x), near, abs(x) < T(0.03));
}`,
  expm1: `/** e^x - 1, exact for small x too. */
fn expm1(x: T) -> T {
  let near = x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666667 + x * (0.0083333333 + x * (0.0013888889 + x * 0.00019841270))))));
  return select(exp(x) - 1.0, near, abs(x) < T(0.3));
}`,
  hyperbolic: `/** tanh, exact for small x and without overflow for large. */
fn hyperbolic(x: T) -> T {
  let t = @expm1(-2.0 * abs(x));
  return sign(x) * -t / (2.0 + t);
}`,
  erf: `/** The error function: a series for small x, and beyond 1 - erfc by its continued fraction (DLMF 7.6.2, 7.9.2). */
fn erf(x: f32) -> f32 {
  let z = abs(x);
  if (z > 4.0) {
    return sign(x);
  }
  let scale = exp(-z * z) * 0.56418958;
  if (z < 2.0) {
    var term = 2.0 * x;
    var total = term;
    for (var k = 1; k < 40; k++) {
      term *= 2.0 * x * x / f32(2 * k + 1);
      total += term;
    }
    return scale * total;
  }
  var tail = z;
  for (var k = 40; k > 0; k--) {
    tail = z + 0.5 * f32(k) / tail;
  }
  return sign(x) * (1.0 - scale / tail);
}`,
  sine: `/** The sine of x and so many quarter turns: pi / 2 taken off in three parts, then polynomials (after Cephes). */
fn sine(x: f32, quarters: i32) -> f32 {
  let turns = round(x * 0.63661977);
  let r = ((x - turns * 1.5703125) - turns * 0.0004837512969970703) - turns * 7.549789954891882e-8;
  let q = (i32(turns) + quarters) & 3;
  let z = r * r;
  let s = r + r * z * (-0.16666654 + z * (0.0083321609 - z * 0.00019515296));
  let c = 1.0 - 0.5 * z + z * z * (0.041666646 + z * (-0.0013887316 + z * 0.000024433157));
  let value = select(s, c, (q & 1) == 1);
  return select(value, -value, q > 1);
}`,
  bounded: `/** x within bounds; NaN if it is. */
fn bounded(x: T, low: T, high: T) -> T {
  return @minimum(@maximum(x, low), high);
}`,
  power: `/** x ^ y as mathematics has it: also for negative x where y is whole. */
fn power(x: f32, y: f32) -> f32 {
  if (y == 0.0) {
    return 1.0;
  }
  let p = pow(abs(x), y);
  let odd = y - 2.0 * floor(0.5 * y) == 1.0;
  return select(p, -p, x < 0.0 && odd);
}`,
  head: 'fn head(v: some) -> f32 { return vec4f(v).x; }',
  sum: `fn sum_of(v: some) -> f32 {
  let u = vec4f(v);
  return select(u.x + u.y + (u.z + u.w), u.x, many == 1u);
}`,
  product: `fn product_of(v: some) -> f32 {
  let u = vec4f(v);
  return select(u.x * u.y * (u.z * u.w), u.x, many == 1u);
}`,
  greatest: `fn greatest_of(v: some) -> f32 {
  let u = vec4f(v);
  return maximum(maximum(u.x, u.y), maximum(u.z, u.w));
}`,
  least: `fn least_of(v: some) -> f32 {
  let u = vec4f(v);
  return minimum(minimum(u.x, u.y), minimum(u.z, u.w));
}`,
};

type Helper = keyof typeof helpers;

/** What a helper calls in turn. */
const needs: { readonly [K in Helper]?: readonly Helper[] } = {
  softplus: ['log1p'],
  hyperbolic: ['expm1'],
  bounded: ['minimum', 'maximum'],
  greatest: ['maximum'],
  least: ['minimum'],
};

/** What makes one of the elements that a lane takes in at once. */
const folds: { readonly [K in LaneMerge]: { readonly helper: Helper; readonly name: string } } = {
  '+': { helper: 'sum', name: 'sum_of' },
  '*': { helper: 'product', name: 'product_of' },
  max: { helper: 'greatest', name: 'greatest_of' },
  min: { helper: 'least', name: 'least_of' },
};

/**
 * What ends a line of which a caller may do otherwise, as the manifest's schema says: what is of one element at a time,
 * and where a loop over elements begins.
 */
const marks = { one: '//one', turns: '//turns' };

/** How many elements a lane takes in at once. */
const oneAtATime = `alias some = f32; const many = 1u; ${marks.one}`;
/** What comparing them gives, where something does. */
const oneMask = `alias mask = bool; ${marks.one}`;

/** Functions by name: WGSL's own, or helpers. */
const calls: {
  readonly [K in Call]: { readonly helper?: Helper; readonly name: string; readonly more?: string };
} = {
  exp: { name: 'exp' },
  log: { name: 'log' },
  log1p: { helper: 'log1p', name: 'log1p' },
  expm1: { helper: 'expm1', name: 'expm1' },
  tanh: { helper: 'hyperbolic', name: 'hyperbolic' },
  sigmoid: { helper: 'sigmoid', name: 'sigmoid' },
  softplus: { helper: 'softplus', name: 'softplus' },
  erf: { helper: 'erf', name: 'erf' },
  sin: { helper: 'sine', name: 'sine', more: '0' },
  cos: { helper: 'sine', name: 'sine', more: '1' },
  abs: { name: 'abs' },
  sign: { name: 'sign' },
  floor: { name: 'floor' },
  relu: { helper: 'maximum', name: 'maximum', more: '0.0' },
  min: { helper: 'minimum', name: 'minimum' },
  max: { helper: 'maximum', name: 'maximum' },
  pow: { helper: 'power', name: 'power' },
  clamp: { helper: 'bounded', name: 'bounded' },
};

/** A helper of several elements is called otherwise than that of one. */
const ofSome = (name: string): string => `${name}_some`;

function printCall(fn: Call, args: readonly string[], type: CodeType): string {
  const { helper, name, more } = calls[fn];
  const isSome = type === 'vector' && helper !== undefined;
  const last = more === undefined ? [] : [isSome ? `some(${more})` : more];
  return `${isSome ? ofSome(name) : name}(${[...args, ...last].join(', ')})`;
}

function number(value: number, type: 'index' | 'real'): string {
  if (type === 'index') return `${value}u`;
  // what is beyond f32 is infinite there
  if (Math.fround(value) === Number.POSITIVE_INFINITY) return 'infinity(0u)';
  if (Math.fround(value) === Number.NEGATIVE_INFINITY) return 'infinity(0x80000000u)';
  const text = String(Math.fround(value) === 0 ? 0 : value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

const elsewhere = (what: string): never => {
  throw new Error(`normgrad has a bug: ${what} in WGSL`);
};

/** Without the parentheses that a quotient has inside an expression. */
function bare(value: Code, print: (code: Code) => string): string {
  const text = print(value);
  const isQuotient = value.code === 'binary' && value.type === 'index' && value.operator === '/';
  return isQuotient ? text.slice(1, -1) : text;
}

const language: Language = {
  number,
  load: (array, index) => `${array}[${index}]`,
  toReal: (x) => `f32(${x})`,
  sqrt: (x) => `sqrt(${x})`,
  rsqrt: (x) => `inverseSqrt(${x})`,
  least: (a, b) => `min(${a}, ${b})`,
  greatest: (a, b) => `max(${a}, ${b})`,
  divide: (a, b) => `(${a} / ${b})`,
  call: printCall,
  splat: (x) => `some(${x})`,
  first: (x) => `head(${x})`,
  fold: (merge, name) => `${folds[merge].name}(${name})`,
  masks: (x) => `mask(${x})`,
  select: (test, then, otherwise) => `select(${otherwise}, ${then}, ${test})`,
  isLean: true,
  equal: { '==': '==', '!=': '!=' },
  statements: {
    comment: ({ text }) => `// ${text}`,
    let: ({ name, value }, print) => `let ${name} = ${bare(value, print)};`,
    var: ({ name, value }, print) => `var ${name} = ${bare(value, print)};`,
    assign: ({ name, value }, print) => {
      const isOwn = value.code === 'binary' && value.a.code === 'name' && value.a.name === name;
      return isOwn ? `${name} ${value.operator}= ${print(value.b)};` : `${name} = ${print(value)};`;
    },
    array: ({ name, length, fill }, print) => {
      const declaration = `var ${name}: array<f32, ${print(length).replace('u', '')}>;`;
      if (fill === 0) return declaration;
      return `${declaration} for (var k = 0u; k < ${print(length)}; k++) { ${name}[k] = ${number(fill, 'real')}; }`;
    },
    store: ({ array, index, value }, print) => `${array}[${print(index)}] = ${print(value)};`,
    for: ({ axes, name, from, below, step, body }, print, block) => {
      const next = isIndex(step, 1) ? `${name}++` : `${name} += ${print(step)}`;
      const head = `for (var ${name} = ${print(from)}; ${name} < ${print(below)}; ${next})`;
      const isOverElements = axes.length > 0 && step.code === 'name';
      return `${head} {${isOverElements ? ` ${marks.turns}` : ''}${block(body).slice(1)}`;
    },
    if: ({ test, body }, print, block) => `if (${print(test)}) ${block(body)}`,
    return_if: ({ test }, print) => (test.code === 'truth' ? 'return;' : `if (${print(test)}) { return; }`),
    accumulator: () => elsewhere('accumulator'),
    lanes: () => elsewhere('lanes'),
    rows: () => elsewhere('rows'),
    each: () => elsewhere('each'),
    repeat: () => elsewhere('repeat'),
    outlined: () => elsewhere('outlined'),
  },
};

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

/** A real is stored to all elements at once where an array has several. */
const storingTo = (vectors: ReadonlySet<string>): Language => ({
  ...language,
  statements: {
    ...language.statements,
    store: ({ array, index, value }, print) => {
      const isWide = vectors.has(array) && value.type === 'real';
      return `${array}[${print(index)}] = ${isWide ? `some(${print(value)})` : print(value)};`;
    },
  },
});

/** The texts of the helpers that statements use, of reals and of several elements. */
function helpersOf(body: readonly Statement[]): string[] {
  const used = new Map<string, string>();
  const use = (helper: Helper, type: 'f32' | 'some'): void => {
    for (const inner of needs[helper] ?? []) use(inner, type);
    const named = (name: string): string => (type === 'some' ? ofSome(name) : name);
    const text = helpers[helper].replace(/@(\w+)/g, (_, name) => named(name)).replace(/\bT\b/g, type);
    used.set(
      `${helper} ${type}`,
      type === 'some' ? text.replace(/\nfn (\w+)/, (_, name) => `\nfn ${named(name)}`) : text,
    );
  };
  eachCode(body, (code) => {
    if (code.code === 'call' && calls[code.fn].helper)
      use(calls[code.fn].helper!, code.type === 'vector' ? 'some' : 'f32');
    if (code.code === 'first') use('head', 'f32');
    if (code.code === 'fold') use(folds[code.merge].helper, 'f32');
    const isInfinite =
      code.code === 'number' && Math.abs(Math.fround(code.value)) === Number.POSITIVE_INFINITY;
    if (isInfinite) use('infinity', 'f32');
  });
  return [...used].sort(([a], [b]) => orderOf(a) - orderOf(b)).map(([, text]) => text);
}

const orderOf = (key: string): number => Object.keys(helpers).indexOf(key.split(' ')[0]!);

/** Dispatch sizes and lengths, as a formula over sizes that any language can evaluate. */
export const printFormula = (code: Code): string =>
  printCode(code, { ...language, number: (value) => String(value), divide: (a, b) => `floor(${a} / ${b})` });
