/** Prints expressions and statements of a Kernel; what differs between languages is a table. */
import type { Call } from '../graph/expr.ts';
import type { Code, CodeType, LaneMerge, Operator, Statement } from '../kernel/kernel.ts';

export interface Language {
  readonly number: (value: number, type: 'index' | 'real') => string;
  readonly load: (array: string, index: string, absent: number | undefined, type: CodeType) => string;
  readonly toReal: (x: string) => string;
  readonly sqrt: (x: string) => string;
  readonly rsqrt: (x: string) => string;
  readonly least: (a: string, b: string) => string;
  readonly greatest: (a: string, b: string) => string;
  /** Division and remainder of indices. */
  readonly divide: (a: string, b: string) => string;
  readonly call: (fn: Call, args: readonly string[], type: CodeType) => string;
  readonly select: (test: string, then: string, otherwise: string) => string;
  /** Whether that is a call, and comparisons bind more than `and` and `or`: fewer parentheses are needed. */
  readonly isLean?: boolean;
  /** Of a vector's lanes; only for targets that have them. */
  readonly splat?: (x: string) => string;
  readonly first?: (x: string) => string;
  readonly fold?: (merge: LaneMerge, accumulator: string, copies: number) => string;
  /** Only for WebAssembly. */
  readonly own?: string;
  readonly joined?: (rows: string, width: string, wanted: number) => string;
  /** A truth value for every lane; for targets that combine masks without widening by themselves. */
  readonly masks?: (x: string) => string;
  readonly equal: { readonly '==': string; readonly '!=': string };
  /** Where `!=` is not the opposite of `==`, as it may not be for NaN. */
  readonly isNotEqual?: (a: string, b: string) => string;
  /** What encloses the statements of a loop or condition; braces where it is absent. */
  readonly block?: (inner: string, indent: string) => string;
  readonly statements: {
    readonly [K in Statement['do']]: (
      statement: Extract<Statement, { do: K }>,
      print: (code: Code) => string,
      block: (body: readonly Statement[]) => string,
    ) => string;
  };
}

const strength: { readonly [K in Operator]: number } = { '+': 2, '-': 2, '*': 3, '/': 3, '%': 3 };

/** How tightly the text of an expression binds: 4 for what never needs parentheses. */
function binds(code: Code, { isLean }: Language): number {
  switch (code.code) {
    case 'binary':
      return code.type === 'index' && code.operator === '/' ? 4 : strength[code.operator];
    case 'compare':
    case 'logic':
    case 'not':
      return 0;
    case 'select':
      return isLean ? 4 : 0;
    case 'negate':
      return 1;
    case 'number':
      return code.value < 0 ? 1 : 4;
    default:
      return 4;
  }
}

export function printCode(code: Code, language: Language): string {
  const print = (inner: Code): string => printCode(inner, language);
  const within = (inner: Code, least: number): string =>
    binds(inner, language) < least ? `(${print(inner)})` : print(inner);
  const masked = (inner: Code): string =>
    inner.type === 'mask' ? within(inner, 1) : language.masks!(print(inner));
  switch (code.code) {
    case 'number':
      return language.number(code.value, code.type);
    case 'truth':
      return String(code.value);
    case 'name':
      return code.name;
    case 'load':
      return language.load(code.array, print(code.index), code.absent, code.type);
    case 'binary': {
      const own = strength[code.operator];
      if (code.type === 'index' && code.operator === '/')
        return language.divide(within(code.a, 3), within(code.b, 4));
      const right = code.operator === '+' || code.operator === '*' ? own : own + 1;
      // a·b·c keeps the order it was built in: floating point multiplication does not associate
      const b = within(
        code.b,
        code.type !== 'index' && code.b.code === 'binary' && strength[code.b.operator] === own
          ? own + 1
          : right,
      );
      return `${within(code.a, own)} ${code.operator} ${b}`;
    }
    case 'negate':
      return `-${within(code.x, 4)}`;
    case 'sqrt':
    case 'rsqrt':
      return language[code.code](print(code.x));
    case 'real':
      return language.toReal(print(code.x));
    case 'splat':
      return language.splat!(print(code.x));
    case 'first':
      return language.first!(print(code.x));
    case 'fold':
      return language.fold!(code.merge, code.name, code.copies);
    case 'make':
      return `${code.name}(${code.args.map(print).join(', ')})`;
    case 'call':
      return language.call(code.fn, code.args.map(print), code.type);
    case 'least':
    case 'greatest':
      return language[code.code](print(code.a), print(code.b));
    case 'own':
      return language.own!;
    case 'joined':
      return language.joined!(print(code.a), print(code.b), code.wanted);
    case 'compare': {
      if (code.operator === '!=' && language.isNotEqual)
        return language.isNotEqual(within(code.a, 1), within(code.b, 1));
      const operator =
        code.operator === '==' || code.operator === '!=' ? language.equal[code.operator] : code.operator;
      return `${within(code.a, 1)} ${operator} ${within(code.b, 1)}`;
    }
    case 'logic':
      if (code.type === 'mask' && language.masks)
        return `${masked(code.a)} ${code.operator === 'and' ? '&' : '|'} ${masked(code.b)}`;
      return [code.a, code.b]
        .map((inner) => (language.isLean && inner.code === 'compare' ? print(inner) : within(inner, 1)))
        .join(code.operator === 'and' ? ' && ' : ' || ');
    case 'not':
      return `!(${print(code.x)})`;
    case 'select':
      if (code.type === 'mask' && language.masks)
        return language.select(masked(code.test), masked(code.then), masked(code.else));
      if (language.isLean) return language.select(print(code.test), print(code.then), print(code.else));
      return language.select(within(code.test, 1), within(code.then, 1), within(code.else, 1));
  }
}

export function printStatements(body: readonly Statement[], language: Language, indent: string): string {
  const print = (code: Code): string => printCode(code, language);
  const braces = (inner: string): string => `{\n${inner}\n${indent}}`;
  const block = (inner: readonly Statement[]): string =>
    (language.block ?? braces)(printStatements(inner, language, `${indent}  `), indent);
  type Printer = (
    statement: Statement,
    print: (code: Code) => string,
    block: (body: readonly Statement[]) => string,
  ) => string;
  return body.map((s) => `${indent}${(language.statements[s.do] as Printer)(s, print, block)}`).join('\n');
}
