/** Prints a CPU kernel as a plain TypeScript function over typed arrays, which imports nothing. */
import type { Call } from '../graph/expr.ts';
import { eachCode } from '../kernel/collect.ts';
import { type Code, isIndex, type Kernel } from '../kernel/kernel.ts';
import { renameAll } from '../kernel/rewrite.ts';
import { type LoopFunction, outline, renaming } from './outline.ts';
import { type Language, printStatements } from './printer.ts';

/** Functions that JavaScript lacks, emitted into the files that use them. */
const helpers: { readonly [K in Call]?: string } = {
  sigmoid: `/** 1 / (1 + e^-x), without overflow. */
function sigmoid(x: number): number {
  const t = Math.exp(-Math.abs(x));
  return (x < 0 ? t : 1) / (1 + t);
}`,
  softplus: `/** log(1 + e^x), without overflow. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}`,
  erf: `/** The error function: a series of positive terms, and far out the continued fraction of erfc (DLMF 7.6.2, 7.9.2). */
function erf(x: number): number {
  const z = Math.abs(x);
  if (!(z < 6)) return z >= 6 ? Math.sign(x) : x;
  const scale = Math.exp(-z * z) / Math.sqrt(Math.PI);
  if (z < 3) {
    let term = 2 * x;
    let total = term;
    for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(total); k++) {
      term *= (2 * x * x) / (2 * k + 1);
      total += term;
    }
    return scale * total;
  }
  let tail = z;
  for (let k = 60; k > 0; k--) tail = z + k / 2 / tail;
  return Math.sign(x) * (1 - scale / tail);
}`,
};

const calls: { readonly [K in Call]: (...args: string[]) => string } = {
  exp: (x) => `Math.exp(${x})`,
  log: (x) => `Math.log(${x})`,
  log1p: (x) => `Math.log1p(${x})`,
  expm1: (x) => `Math.expm1(${x})`,
  tanh: (x) => `Math.tanh(${x})`,
  sigmoid: (x) => `sigmoid(${x})`,
  softplus: (x) => `softplus(${x})`,
  erf: (x) => `erf(${x})`,
  sin: (x) => `Math.sin(${x})`,
  cos: (x) => `Math.cos(${x})`,
  abs: (x) => `Math.abs(${x})`,
  sign: (x) => `Math.sign(${x})`,
  floor: (x) => `Math.floor(${x})`,
  relu: (x) => `Math.max(${x}, 0)`,
  min: (a, b) => `Math.min(${a}, ${b})`,
  max: (a, b) => `Math.max(${a}, ${b})`,
  pow: (a, b) => `Math.pow(${a}, ${b})`,
  clamp: (x, low, high) => `Math.min(Math.max(${x}, ${low}), ${high})`,
};

const number = (value: number): string => {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
};

const elsewhere = (what: string): never => {
  throw new Error(`normgrad has a bug: ${what} in TypeScript`);
};

/** What is added to something, if that is what a value is. */
const addedTo = (value: Code, isTarget: (a: Code) => boolean, operator = '+'): Code | undefined =>
  value.code === 'binary' && value.operator === operator && isTarget(value.a) ? value.b : undefined;

const language: Language = {
  number,
  load: (array, index, absent) =>
    absent === undefined ? `${array}[${index}]!` : `(${array} ? ${array}[${index}]! : ${number(absent)})`,
  toReal: (x) => (/^\w+$/.test(x) ? x : `(${x})`),
  sqrt: (x) => `Math.sqrt(${x})`,
  rsqrt: (x) => `(1 / Math.sqrt(${x}))`,
  least: (a, b) => `Math.min(${a}, ${b})`,
  greatest: (a, b) => `Math.max(${a}, ${b})`,
  divide: (a, b) => `Math.floor(${a} / ${b})`,
  call: (fn, args) => calls[fn](...args),
  select: (test, then, otherwise) => `(${test} ? ${then} : ${otherwise})`,
  equal: { '==': '===', '!=': '!==' },
  statements: {
    let: ({ name, value }, print) => `const ${name} = ${print(value)};`,
    var: ({ name, value, copies = [] }, print) =>
      `let ${[name, ...copies].map((id) => `${id} = ${print(value)}`).join(', ')};`,
    assign: ({ name, value }, print) => {
      const isOwn = (a: Code): boolean => a.code === 'name' && a.name === name;
      const added = addedTo(value, isOwn);
      if (added) return `${name} += ${print(added)};`;
      const taken = addedTo(value, isOwn, '-');
      return taken ? `${name} -= ${print(taken)};` : `${name} = ${print(value)};`;
    },
    array: ({ name, length, fill }, print) =>
      `const ${name} = new Float64Array(${print(length)})${fill === 0 ? '' : `.fill(${number(fill)})`};`,
    store: ({ array, index, value }, print) => {
      const place = `${array}[${print(index)}]`;
      const added = addedTo(value, (a) => a.code === 'load' && `${a.array}[${print(a.index)}]` === place);
      return added ? `${place}! += ${print(added)};` : `${place} = ${print(value)};`;
    },
    for: ({ name, from, below, step, body, continues }, print, block) =>
      `for (${continues ? '' : `let ${name} = ${print(from)}`}; ${name} < ${print(below)}; ${
        isIndex(step, 1) ? `${name}++` : `${name} += ${print(step)}`
      }) ${block(body)}`,
    if: ({ test, body }, print, block) => `if (${print(test)}) ${block(body)}`,
    return_if: ({ test }, print) => `if (${print(test)}) return;`,
    accumulator: () => elsewhere('accumulator'),
    lanes: () => elsewhere('lanes'),
    rows: () => elsewhere('rows'),
    each: () => elsewhere('each'),
    repeat: () => elsewhere('repeat'),
    run: () => elsewhere('run'),
    call: () => elsewhere('call'),
    outlined: ({ body }, _, block) => block(body),
  },
};

/** Kernels as functions: the loops, which they share, and the body of each. */
export interface PrintedKernels {
  readonly loops: readonly string[];
  /** The body of a kernel's function, without its head. */
  readonly bodyOf: (kernel: Kernel, indent?: string) => string;
}

export function printKernels(kernels: readonly Kernel[]): PrintedKernels {
  const { functions, callOf, bodyOf } = outline(kernels, language);
  const print = (kernel: Kernel, indent = '  '): string => {
    const kept = [...kernel.bindings, ...kernel.uniforms, ...functions];
    const rename = renaming(kept.map(({ name }) => name));
    const outlined: Language['statements']['outlined'] = (statement) => callOf(statement, rename);
    const calling: Language = { ...language, statements: { ...language.statements, outlined } };
    return printStatements(renameAll(bodyOf(kernel), rename), calling, indent);
  };
  return { loops: functions.map(printLoops), bodyOf: print };
}

function printLoops({ name, parameters, body }: LoopFunction): string {
  const head = parameters.map((parameter) => `${parameter.name}: ${parameter.type}`).join(', ');
  return `function ${name}(${head}): void {\n${printStatements(body, language, '  ')}\n}`;
}

/** The source of the helpers that some kernels call, in a fixed order. */
export function helpersOf(kernels: readonly Kernel[]): string[] {
  const used = new Set<Call>();
  for (const { body } of kernels) eachCode(body, (code) => code.code === 'call' && used.add(code.fn));
  return (Object.keys(helpers) as Call[]).filter((fn) => used.has(fn)).map((fn) => helpers[fn]!);
}

export { language as typescript };
