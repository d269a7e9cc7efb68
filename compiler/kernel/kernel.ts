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
  /** The number of elements where it is not the product of the axes' sizes. */
  readonly length?: Code;
}

/** `index` is an unsigned integer, `real` the compute type. */
export type CodeType = 'index' | 'real' | 'bool';

/** An expression over scalars. */
export type Code =
  | { readonly code: 'number'; readonly type: 'index' | 'real'; readonly value: number }
  | { readonly code: 'truth'; readonly type: 'bool'; readonly value: boolean }
  /** A local, or a uniform. */
  | { readonly code: 'name'; readonly type: CodeType; readonly name: string }
  | { readonly code: 'load'; readonly type: 'real'; readonly array: string; readonly index: Code }
  | {
      readonly code: 'binary';
      readonly type: 'index' | 'real';
      readonly operator: Operator;
      readonly a: Code;
      readonly b: Code;
    }
  | { readonly code: 'negate' | 'sqrt' | 'rsqrt'; readonly type: 'real'; readonly x: Code }
  | { readonly code: 'real'; readonly type: 'real'; readonly x: Code }
  | { readonly code: 'call'; readonly type: 'real'; readonly fn: Call; readonly args: readonly Code[] }
  | { readonly code: 'least' | 'greatest'; readonly type: 'index'; readonly a: Code; readonly b: Code }
  | {
      readonly code: 'compare';
      readonly type: 'bool';
      readonly operator: Comparison;
      readonly a: Code;
      readonly b: Code;
    }
  | {
      readonly code: 'logic';
      readonly type: 'bool';
      readonly operator: 'and' | 'or';
      readonly a: Code;
      readonly b: Code;
    }
  | { readonly code: 'not'; readonly type: 'bool'; readonly x: Code }
  | {
      readonly code: 'select';
      readonly type: 'real' | 'bool';
      readonly test: Code;
      readonly then: Code;
      readonly else: Code;
    };

/** Division of indices rounds down. */
export type Operator = '+' | '-' | '*' | '/' | '%';

export type Statement =
  | { readonly do: 'comment'; readonly text: string }
  | { readonly do: 'let'; readonly name: string; readonly value: Code }
  | { readonly do: 'var'; readonly name: string; readonly value: Code }
  | { readonly do: 'assign'; readonly name: string; readonly value: Code }
  /** An array of `length` elements that lives as long as the call (CPU) or the invocation (GPU), all `fill`. */
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
    }
  /** GPU only: `name` is `from`, from / 2, … down to 1. */
  | {
      readonly do: 'halve';
      readonly name: string;
      readonly from: Code;
      readonly body: readonly Statement[];
    }
  | { readonly do: 'if'; readonly test: Code; readonly body: readonly Statement[] }
  | { readonly do: 'return_if'; readonly test: Code }
  /** GPU only: waits for the whole workgroup. */
  | { readonly do: 'barrier' };

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

export interface Kernel {
  readonly target: 'cpu' | 'gpu';
  /** In the order of the function's parameters, or of the bind group. */
  readonly bindings: readonly Binding[];
  readonly uniforms: readonly Uniform[];
  readonly body: readonly Statement[];
  /** Arrays shared by a workgroup, by name, and their lengths. */
  readonly shared: readonly { readonly name: string; readonly length: number }[];
  /** GPU only: the lanes of a workgroup by default, and the most of them. */
  readonly workgroupSize: number;
  /** How many workgroups, over the uniforms and `lanes`. */
  readonly workgroups: Code;
  /** GPU only: how many results it reduces to, of how many elements, and whether neighbours belong to different ones. */
  readonly tiles?: { readonly kept: Code; readonly over: Code; readonly isAcross: boolean };
  readonly reductions: readonly ReductionReport[];
  /** Elements read and written, by binding: how often the kernel touches each of the elements of the full-size tensors. */
  readonly traffic: readonly { readonly name: string; readonly reads: number; readonly writes: number }[];
  /** Formulas it computes, for its comment. */
  readonly formulas: readonly string[];
}

export const index = (value: number): Code => ({ code: 'number', type: 'index', value });
export const real = (value: number): Code => ({ code: 'number', type: 'real', value });
export const name = (text: string, type: CodeType): Code => ({ code: 'name', type, name: text });
export const isIndex = (code: Code, value: number): boolean =>
  code.code === 'number' && code.type === 'index' && code.value === value;

/** Arithmetic, with the neutral elements of index arithmetic left out. */
export function binary(operator: Operator, a: Code, b: Code): Code {
  const type = a.type === 'real' || b.type === 'real' ? 'real' : 'index';
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
export const load = (array: string, at: Code): Code => ({ code: 'load', type: 'real', array, index: at });
export const below = (a: Code, b: Code): Code => ({ code: 'compare', type: 'bool', operator: '<', a, b });
export const times = (...codes: readonly Code[]): Code => codes.reduce((a, b) => binary('*', a, b), index(1));
/** ⌈a / b⌉ */
export const ceilDiv = (a: Code, b: Code): Code =>
  binary('/', binary('+', a, b.code === 'number' ? index(b.value - 1) : binary('-', b, index(1))), b);
