/**
 * The Kernel: loops, loads, reductions and stores over flat buffers, with everything decided. An emitter prints it,
 * one table row a construct, and takes no decisions of its own.
 */

import type { Call } from '../graph/expr.ts';
import type { Comparison } from '../spec/spec.ts';

/** What a buffer is to the caller; see the runtime's `Role`, which is the same list. */
export type Role =
  | 'input'
  | 'state'
  | 'output'
  | 'saved'
  | 'cotangent'
  | 'gradient'
  | 'tangent'
  | 'output_tangent'
  | 'cotangent2'
  | 'second'
  | 'second_cotangent'
  | 'scratch';

export interface Binding {
  readonly name: string;
  readonly role: Role;
  /** The caller's name for it: an argument, a return, or what a cotangent or gradient belongs to. */
  readonly of: string;
  /** Physical order, outermost first. */
  readonly axes: readonly string[];
  readonly access: 'read' | 'write' | 'read_write';
  /** CPU only: some calls do not pass it, because they lack the tensor or do not want the gradient. */
  readonly optional?: true;
  /** The number of elements where it is not the product of the axes' sizes. */
  readonly length?: Code;
  /** Scratch that needs more digits than the data has. */
  readonly dtype?: 'f64';
}

/**
 * `index` is an unsigned integer, `real` the compute type; inside a loop over lanes a `vector` is four neighbouring
 * reals and a `mask` what comparing them gives. On the GPU a `record` has several reals and vectors, by name.
 */
export type CodeType = 'index' | 'real' | 'bool' | 'vector' | 'mask' | 'record';
type RealType = 'real' | 'vector';
type BoolType = 'bool' | 'mask';

/** An expression over scalars. */
export type Code =
  | { readonly code: 'number'; readonly type: 'index' | 'real'; readonly value: number }
  | { readonly code: 'truth'; readonly type: 'bool'; readonly value: boolean }
  /** A local, or a uniform. */
  | { readonly code: 'name'; readonly type: CodeType; readonly name: string }
  /** Of a vector, the index is that of its first lane. */
  | {
      readonly code: 'load';
      readonly type: RealType | 'record';
      readonly array: string;
      readonly index: Code;
      /** CPU only: the value where the array is not passed. */
      readonly absent?: number;
    }
  | {
      readonly code: 'binary';
      readonly type: 'index' | RealType;
      readonly operator: Operator;
      readonly a: Code;
      readonly b: Code;
    }
  | { readonly code: 'negate' | 'sqrt' | 'rsqrt'; readonly type: RealType; readonly x: Code }
  | { readonly code: 'real'; readonly type: 'real'; readonly x: Code }
  | { readonly code: 'call'; readonly type: RealType; readonly fn: Call; readonly args: readonly Code[] }
  /** GPU only: what a function of the kernel returns, or a record of these members, or of zeros where there are none. */
  | { readonly code: 'make'; readonly type: CodeType; readonly name: string; readonly args: readonly Code[] }
  /** A real in every lane. */
  | { readonly code: 'splat'; readonly type: 'vector'; readonly x: Code }
  /** The first lane of a vector. */
  | { readonly code: 'first'; readonly type: 'real'; readonly x: Code }
  /** All lanes and copies of an accumulator in one. */
  | {
      readonly code: 'fold';
      readonly type: 'real';
      readonly merge: LaneMerge;
      readonly name: string;
      readonly copies: number;
    }
  | { readonly code: 'least' | 'greatest'; readonly type: 'index'; readonly a: Code; readonly b: Code }
  /** WebAssembly only: an array of f32 that a thread has to itself, see `ownElements`. */
  | { readonly code: 'own'; readonly type: 'index' }
  /** WebAssembly only: how many of `a` rows of `b` elements are walked as one, to have about `wanted` elements. */
  | {
      readonly code: 'joined';
      readonly type: 'index';
      readonly a: Code;
      readonly b: Code;
      readonly wanted: number;
    }
  | {
      readonly code: 'compare';
      readonly type: BoolType;
      readonly operator: Comparison;
      readonly a: Code;
      readonly b: Code;
    }
  | {
      readonly code: 'logic';
      readonly type: BoolType;
      readonly operator: 'and' | 'or';
      readonly a: Code;
      readonly b: Code;
    }
  | { readonly code: 'not'; readonly type: BoolType; readonly x: Code }
  | {
      readonly code: 'select';
      readonly type: RealType | BoolType;
      readonly test: Code;
      readonly then: Code;
      readonly else: Code;
    };

/** How lanes of an accumulator become one. */
export type LaneMerge = '+' | '*' | 'max' | 'min';

/** Division of indices rounds down. */
export type Operator = '+' | '-' | '*' | '/' | '%';

export type Statement =
  | { readonly do: 'let'; readonly name: string; readonly value: Code }
  /** `copies` are more variables that begin with the same value. */
  | { readonly do: 'var'; readonly name: string; readonly value: Code; readonly copies?: readonly string[] }
  | { readonly do: 'assign'; readonly name: string; readonly value: Code }
  /** CPU only: an array of `length` elements that lives as long as the call, all `fill`. */
  | { readonly do: 'array'; readonly name: string; readonly length: Code; readonly fill: number }
  | { readonly do: 'store'; readonly array: string; readonly index: Code; readonly value: Code }
  | {
      readonly do: 'for';
      /** The axes whose elements the loop visits, for counting accesses. */
      readonly axes: readonly string[];
      readonly name: string;
      readonly from: Code;
      readonly below: Code;
      readonly step: Code;
      readonly body: readonly Statement[];
      /** `name` is declared already, and goes on from where it is. */
      readonly continues?: true;
    }
  /** Loops over elements that a target may make a function of, which kernels share. */
  | {
      readonly do: 'outlined';
      readonly name: string;
      readonly body: readonly Statement[];
    }
  /** A vector, or several that take turns, that elements are accumulated into; outside WebAssembly, reals. */
  | { readonly do: 'accumulator'; readonly name: string; readonly copies: number; readonly identity: number }
  /**
   * Visits elements `from` to `below`, `copies` of them side by side, or in WebAssembly `copies` vectors of four; `name`
   * is the first one's position. Where fewer are left, what is past the end is neither accumulated nor stored.
   */
  | {
      readonly do: 'lanes';
      readonly axes: readonly string[];
      readonly name: string;
      readonly from: Code;
      readonly below: Code;
      readonly copies: number;
      /** Past the end there is room, and it does not matter what is stored there. */
      readonly isOpen?: true;
      readonly body: readonly Statement[];
    }
  /**
   * WebAssembly only: visits rows. Those from `from` to `together`, which hold at least a vector, are walked abreast with
   * others that are each `distance` further, `apart` in all; of those from `next` to `below` so many `neighbours`, and
   * what is left one by one. `name` is which row, and `body` what is known of it and loops over lanes, in which `each` is
   * done for every one of the rows abreast. `copies` of the loops are for one row.
   */
  | {
      readonly do: 'rows';
      readonly axes: readonly string[];
      readonly name: string;
      readonly step: Code;
      readonly from: Code;
      readonly together: Code;
      readonly distance: Code;
      readonly apart: number;
      readonly next: Code;
      readonly below: Code;
      readonly neighbours: number;
      readonly body: readonly Statement[];
    }
  | { readonly do: 'each'; readonly body: readonly Statement[] }
  /**
   * WebAssembly only: `name` becomes an array that is `width` elements of `array` from `at` on, so many times in a row:
   * those of `into` from `place` on, or where once is enough the elements themselves.
   */
  | {
      readonly do: 'repeat';
      readonly name: string;
      readonly array: string;
      readonly at: Code;
      readonly width: Code;
      readonly times: Code;
      readonly into: string;
      readonly place: Code;
    }
  /** WebAssembly only: runs a phase for some of its kept indices, which are not cut into blocks. */
  | { readonly do: 'run'; readonly phase: Phase; readonly from: Code; readonly below: Code }
  /** The same in a module, by the name of a function; `what` is for readers. */
  | {
      readonly do: 'call';
      readonly function: string;
      readonly what: string;
      readonly from: Code;
      readonly below: Code;
    }
  | { readonly do: 'if'; readonly test: Code; readonly body: readonly Statement[] }
  | { readonly do: 'return_if'; readonly test: Code };

/** One reduction as the manifest reports it. */
export interface ReductionReport {
  readonly op: string;
  readonly over: readonly string[];
  readonly of: string;
}

export interface Uniform {
  readonly name: string;
  /** The axis it is the size of, or the attribute. */
  readonly of: string;
  readonly type: 'u32' | 'f32';
}

/** A function over a range, `begin` to `end`, of what its phase is cut into. */
export interface Routine {
  readonly name: string;
  /** What the range counts: kept indices, or parts, which are kept indices cut into blocks. */
  readonly over: 'kept' | 'parts';
  readonly begin: string;
  readonly end: string;
  readonly body: readonly Statement[];
}

/**
 * Routines that may run one after the other for each kept index, or each as a whole. A phase starts when the one
 * before it has ended; inside, kept indices and, within one routine, parts are independent of each other.
 */
export interface Phase {
  /** How many kept indices, and how many units of work, at most, one of them can be cut into. */
  readonly kept: Code;
  readonly units: Code;
  /**
   * How many blocks a kept index has to have for the same block of neighbours to lie side by side in memory: one where
   * whole kept indices do.
   */
  readonly strips: Code;
  /** Where there are several routines, how many kept indices there are, whoever visits them, and elements of each. */
  readonly all?: { readonly kept: Code; readonly each: Code };
  /** Elements visited, to tell how much work it is. */
  readonly elements: Code;
  /** The uniform that says how many blocks a kept index is cut into. */
  readonly blocks: Uniform;
  readonly routines: readonly Routine[];
}

/** A function of two values, `a` and `b`. */
export interface MergeFunction {
  readonly name: string;
  readonly body: readonly Statement[];
  readonly result: Code;
}

/** A record, and the function that merges two of them, if it has one of its own. */
export interface RecordType {
  readonly name: string;
  readonly members: readonly { readonly name: string; readonly type: RealType | RecordType }[];
  readonly merge?: MergeFunction;
}

/** The function of a kernel that reduces, which kernels that go on differently from the same reductions share. */
export interface ReduceFunction {
  readonly name: string;
  /** The kept index, what the body needs to know of where the lane is, and the numbers of the call. */
  readonly parameters: readonly string[];
  readonly body: readonly Statement[];
  readonly result: Code;
  readonly returns: RealType | RecordType;
  /** Of two of what it returns. The body merges those of lanes by `joined`, which targets define. */
  readonly merge: MergeFunction;
}

/** How a GPU kernel is spread over workgroups. */
export interface Tiles {
  /** How many kept indices, and elements of each, as lanes count them. */
  readonly kept: Code;
  readonly over: Code;
  /** Whether neighbouring elements belong to different kept indices. */
  readonly isAcross: boolean;
  /** Reductions only: whether it can leave partials of blocks, and merge them when it runs again. */
  readonly splits?: boolean;
  /** Reductions only: whether it goes on to compute the same elements from the results. */
  readonly maps?: boolean;
}

export interface SharedArray {
  readonly name: string;
  readonly type: RealType | RecordType;
  readonly reals: number;
}

export interface Kernel {
  readonly target: 'cpu' | 'gpu' | 'wasm';
  /** In the order of the function's parameters, or of the bind group. */
  readonly bindings: readonly Binding[];
  readonly uniforms: readonly Uniform[];
  readonly body: readonly Statement[];
  /** WebAssembly only, whose body is that of all routines. */
  readonly phases: readonly Phase[];
  /** Arrays shared by a workgroup, one element a lane, and how many reals that takes at most: for `joined`. */
  readonly shared: readonly SharedArray[];
  /** GPU only: called by the body. Its bindings come first. */
  readonly reduce?: ReduceFunction;
  /** GPU only: what runs instead where kept indices have to be cut into blocks. */
  readonly otherwise?: readonly Kernel[];
  /** GPU only: of the body's records. */
  readonly records?: readonly RecordType[];
  /** GPU only. */
  readonly tiles?: Tiles;
  /** GPU only: the axis along which elements can be taken in by four. */
  readonly vector?: string;
  readonly reductions: readonly ReductionReport[];
  /** Elements read and written, by binding: how often the kernel touches each of the elements of the full-size tensors. */
  readonly traffic: readonly { readonly name: string; readonly reads: number; readonly writes: number }[];
  /** Formulas it computes, for its comment. */
  readonly formulas: readonly string[];
}

/** How many elements a thread has to itself: the runtime provides as many. */
export const ownElements = 2 ** 16;
/** Slots of 8 bytes for the numbers of a WebAssembly call: the runtime provides as many. */
export const mostSlots = 2 ** 13;

export const index = (value: number): Code => ({ code: 'number', type: 'index', value });
export const real = (value: number): Code => ({ code: 'number', type: 'real', value });
export const name = (text: string, type: CodeType): Code => ({ code: 'name', type, name: text });
export const isIndex = (code: Code, value: number): boolean =>
  code.code === 'number' && code.type === 'index' && code.value === value;

/** Arithmetic, with the neutral elements of index arithmetic left out. */
export function binary(operator: Operator, a: Code, b: Code): Code {
  const type =
    isVector(a) || isVector(b) ? 'vector' : a.type === 'real' || b.type === 'real' ? 'real' : 'index';
  if (type === 'index') {
    if ((operator === '*' || operator === '/') && isIndex(b, 1)) return a;
    if (operator === '*' && isIndex(a, 1)) return b;
    if (operator === '*' && (isIndex(a, 0) || isIndex(b, 0))) return index(0);
    if ((operator === '+' || operator === '-') && isIndex(b, 0)) return a;
    if (operator === '+' && isIndex(a, 0)) return b;
    if (operator === '%' && isIndex(b, 1)) return index(0);
  }
  return { code: 'binary', type, operator, a, b };
}
export const load = (array: string, at: Code, type: RealType | 'record' = 'real'): Code => ({
  code: 'load',
  type,
  array,
  index: at,
});
/** A value as a vector. */
export const asVector = (x: Code): Code => (isVector(x) ? x : { code: 'splat', type: 'vector', x });
export const isVector = ({ type }: Code): boolean => type === 'vector' || type === 'mask';
/** The type of what is computed elementwise from these. */
export const realTypeOf = (...codes: readonly Code[]): RealType => (codes.some(isVector) ? 'vector' : 'real');
export const boolTypeOf = (...codes: readonly Code[]): BoolType => (codes.some(isVector) ? 'mask' : 'bool');
export const call = (fn: Call, ...args: readonly Code[]): Code => ({
  code: 'call',
  type: realTypeOf(...args),
  fn,
  args,
});
export const least = (a: Code, b: Code): Code => ({ code: 'least', type: 'index', a, b });
export const greatest = (a: Code, b: Code): Code => ({ code: 'greatest', type: 'index', a, b });
export const below = (a: Code, b: Code): Code => ({ code: 'compare', type: 'bool', operator: '<', a, b });
export const times = (...codes: readonly Code[]): Code => codes.reduce((a, b) => binary('*', a, b), index(1));
/** ⌈a / b⌉ */
export const ceilDiv = (a: Code, b: Code): Code =>
  binary('/', binary('+', a, b.code === 'number' ? index(b.value - 1) : binary('-', b, index(1))), b);
