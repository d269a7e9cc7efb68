/** Expressions and statements in WGSL. */
import { type Code, isIndex } from '../kernel/kernel.ts';
import { type Language, printCode } from './printer.ts';
import { folds, printCall } from './wgsl-helpers.ts';

/**
 * What ends a line of which a caller may do otherwise, as the manifest's schema says: what is of one element at a time,
 * and where a loop over elements begins.
 */
export const marks = { one: '//one', turns: '//turns' };

function number(value: number, type: 'index' | 'real'): string {
  if (type === 'index') return `${value}u`;
  if (Number.isNaN(value)) return 'nan()';
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

export const language: Language = {
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
  isNotEqual: (a, b) => `!(${a} == ${b})`,
  statements: {
    let: ({ name, value }, print) => `let ${name} = ${bare(value, print)};`,
    var: ({ name, value }, print) => `var ${name} = ${bare(value, print)};`,
    assign: ({ name, value }, print) => {
      const isOwn = value.code === 'binary' && value.a.code === 'name' && value.a.name === name;
      return isOwn ? `${name} ${value.operator}= ${print(value.b)};` : `${name} = ${print(value)};`;
    },
    array: () => elsewhere('array'),
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
    run: () => elsewhere('run'),
    call: () => elsewhere('call'),
    outlined: () => elsewhere('outlined'),
  },
};

/** A real is stored to all elements at once where an array has several. */
export const storingTo = (vectors: ReadonlySet<string>): Language => ({
  ...language,
  statements: {
    ...language.statements,
    store: ({ array, index, value }, print) => {
      const isWide = vectors.has(array) && value.type === 'real';
      return `${array}[${print(index)}] = ${isWide ? `some(${print(value)})` : print(value)};`;
    },
  },
});

/** Dispatch sizes and lengths, as a formula over sizes that any language can evaluate. */
export const printFormula = (code: Code): string =>
  printCode(code, { ...language, number: (value) => String(value), divide: (a, b) => `floor(${a} / ${b})` });
