/** The surface of a spec: entries, signatures and formulas as their author wrote them, with positions. */
import type { Span } from '../diagnostics.ts';

/** An axis name. The same name is the same size everywhere in an entry. */
export type Axis = string;

/** One dimension of a tensor as written: `c`, `*s` (zero or more, folded) or `(g k)` (one that splits, row-major). */
export type Dimension =
  | { readonly kind: 'axis'; readonly axis: Axis }
  | { readonly kind: 'fold'; readonly axis: Axis }
  | { readonly kind: 'split'; readonly axes: readonly Axis[] };

export interface TensorArgument {
  readonly kind: 'tensor';
  readonly name: string;
  readonly dimensions: readonly Dimension[];
  /** The dimensions' axes in row-major order: a fold is one axis, a split its parts. */
  readonly axes: readonly Axis[];
  readonly optional: boolean;
  /** `Tensor(a!)`: state that `update` may write. */
  readonly state: boolean;
  /** After the `*`: cannot be passed by position. */
  readonly keywordOnly?: boolean;
  /** Whether gradients are taken with respect to it: neither state nor listed in `non_differentiable`. */
  readonly differentiable: boolean;
  readonly span: Span;
}

export interface ScalarArgument {
  readonly kind: 'float' | 'int';
  readonly name: string;
  readonly default?: number;
  readonly keywordOnly: boolean;
  readonly span: Span;
}

export interface BoolArgument {
  readonly kind: 'bool';
  readonly name: string;
  readonly default?: boolean;
  readonly keywordOnly: boolean;
  readonly span: Span;
}

export type Argument = TensorArgument | ScalarArgument | BoolArgument;

export interface Return {
  readonly name: string;
  readonly dimensions: readonly Dimension[];
  readonly axes: readonly Axis[];
  readonly differentiable: boolean;
  readonly span: Span;
}

export const unaryFunctions = [
  'sqrt',
  'rsqrt',
  'exp',
  'log',
  'log1p',
  'expm1',
  'tanh',
  'sigmoid',
  'relu',
  'softplus',
  'erf',
  'sin',
  'cos',
  'abs',
  'sign',
  'floor',
] as const;
export type UnaryFunction = (typeof unaryFunctions)[number];

export const reductions = ['sum', 'mean', 'var', 'amax', 'amin', 'prod'] as const;
export type ReductionFunction = (typeof reductions)[number];

export type Comparison = '<' | '<=' | '>' | '>=' | '==' | '!=';

/** A formula. Parentheses are gone; `sum` is one unbroken chain of `+` and `-`, so an author's parentheses are a `sum` inside a `sum`. */
export type Formula = { readonly span: Span } & (
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'constant'; readonly name: 'pi' | 'e' }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'sum'; readonly terms: readonly { readonly negative: boolean; readonly of: Formula }[] }
  | { readonly kind: 'multiply' | 'divide' | 'power'; readonly a: Formula; readonly b: Formula }
  | { readonly kind: 'negate'; readonly of: Formula }
  | { readonly kind: 'compare'; readonly operator: Comparison; readonly a: Formula; readonly b: Formula }
  | { readonly kind: 'and' | 'or'; readonly a: Formula; readonly b: Formula }
  | { readonly kind: 'not'; readonly of: Formula }
  | { readonly kind: 'select'; readonly test: Formula; readonly then: Formula; readonly else: Formula }
  | { readonly kind: 'unary'; readonly fn: UnaryFunction; readonly of: Formula }
  | { readonly kind: 'binary'; readonly fn: 'min' | 'max' | 'pow'; readonly a: Formula; readonly b: Formula }
  | { readonly kind: 'clamp'; readonly of: Formula; readonly low: Formula; readonly high: Formula }
  | {
      readonly kind: 'reduce';
      readonly fn: ReductionFunction;
      readonly of: Formula;
      readonly over: readonly Axis[];
    }
  | { readonly kind: 'count'; readonly over: readonly Axis[] }
  | { readonly kind: 'given'; readonly name: string }
  | { readonly kind: 'true' | 'false' }
  | { readonly kind: 'stop_gradient'; readonly of: Formula }
  | {
      /** A call of an earlier entry: every argument of that entry that was passed, by its name. */
      readonly kind: 'op';
      readonly entry: string;
      readonly arguments: ReadonlyMap<string, Formula>;
      /** How many of the arguments were passed without keywords; these come first. */
      readonly positional: number;
      /** Callee's axis → caller's axis, found by matching the arguments' axes. */
      readonly axes: ReadonlyMap<Axis, Axis>;
      /** Folds of the callee that stand for none or several of the caller's axes; such a fold is not in `axes`. */
      readonly folds?: ReadonlyMap<Axis, readonly Axis[]>;
    }
);

export interface Named {
  readonly name: string;
  readonly formula: Formula;
  /** The formula's text, for comments in generated files. */
  readonly text: string;
  readonly span: Span;
}

export interface Requirement {
  readonly that: Formula;
  readonly else: string;
  readonly span: Span;
}

export type Direction = 'forward' | 'backward' | 'jvp' | 'double_backward';

export interface Entry {
  readonly name: string;
  /** The signature's text on one line, for documentation. */
  readonly signature: string;
  readonly span: Span;
  readonly arguments: readonly Argument[];
  readonly returns: readonly Return[];
  /** Every axis of the entry, in order of first appearance. */
  readonly axes: readonly Axis[];
  readonly absent: ReadonlyMap<string, number>;
  readonly together: readonly (readonly string[])[];
  readonly require: readonly Requirement[];
  readonly forward: readonly Named[];
  readonly update: readonly Named[];
  /** Claims by argument name. */
  readonly gradients: readonly Named[];
  /** Claims by return name. */
  readonly tangents: readonly Named[];
  /** Claims on the double backward, by `grad_RETURN` or argument name. */
  readonly second: readonly Named[];
  /** Physical orders of all the entry's axes; at least one, by default one that fits all tensors. */
  readonly layouts: readonly (readonly Axis[])[];
  /** Gradient subsets asked for, or undefined for the default. */
  readonly wrt?: readonly (readonly string[])[];
  readonly generate: readonly Direction[];
  /** Earlier entries that this one calls, by name. */
  readonly entries: ReadonlyMap<string, Entry>;
}

export interface Spec {
  /** The file's name as given, for messages and headers. */
  readonly file: string;
  readonly text: string;
  readonly entries: readonly Entry[];
}

/** One combination of what is decided at compile time. */
export interface Variant {
  /** `bool` arguments. */
  readonly flags: ReadonlyMap<string, boolean>;
  /** Optional tensors: whether each is given. */
  readonly given: ReadonlyMap<string, boolean>;
}
