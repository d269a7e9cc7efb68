/** What generated code tells the runtime about an op: its signature, variants, and the kernels of each direction. */

/** Sizes by axis (elements) and numeric attributes by name. */
export type Numbers = { readonly [name: string]: number };

/** One dimension as written: one axis, `fold` for `*s` (zero or more dimensions), or several axes that split it row-major. */
export interface DimensionDescription {
  readonly axes: readonly string[];
  readonly fold?: true;
}

export interface TensorDescription {
  readonly kind: 'tensor';
  readonly name: string;
  readonly dimensions: readonly DimensionDescription[];
  readonly optional?: true;
  readonly state?: true;
  readonly differentiable?: true;
}

export interface NumberDescription {
  readonly kind: 'float' | 'int';
  readonly name: string;
  readonly default?: number;
}

export interface FlagDescription {
  readonly kind: 'bool';
  readonly name: string;
  readonly default?: boolean;
}

export type ArgumentDescription = TensorDescription | NumberDescription | FlagDescription;

export interface ReturnDescription {
  readonly name: string;
  readonly dimensions: readonly DimensionDescription[];
  readonly differentiable?: true;
}

/**
 * What a tensor is to the caller. `of` in a binding is the caller's name for it: the argument, the return, or for a
 * cotangent or gradient the return or argument it belongs to.
 */
export type Role =
  | 'input' // an argument, read
  | 'state' // an argument that is read and updated in place
  | 'output' // a return
  | 'saved' // computed by forward for the other directions
  | 'cotangent' // of a return, given by the caller
  | 'gradient' // of an argument, computed
  | 'tangent' // of an argument, given by the caller (forward mode)
  | 'output_tangent' // of a return, computed (forward mode)
  | 'cotangent2' // of a gradient, given by the caller (double backward)
  | 'second' // gradient of <cotangent2, gradients> for an argument, computed
  | 'second_cotangent' // the same for the cotangent of a return, computed
  | 'scratch'; // between the kernels of one direction

export interface BindingDescription {
  readonly name: string;
  readonly role: Role;
  readonly of: string;
  /** Axes in physical order (outermost first); the buffer holds the product of their sizes, densely. */
  readonly axes: readonly string[];
  readonly access: 'read' | 'write' | 'read_write';
  /** Functions only: undefined is passed where a call lacks the tensor, or does not want the gradient. */
  readonly optional?: true;
  /**
   * Scratch only, where the buffer's size is not the product of `axes`: the number of elements.
   */
  readonly length?: (n: Numbers) => number;
  /** Scratch only: f32 where absent. */
  readonly dtype?: 'f64';
}

export interface UniformDescription {
  readonly name: string;
  readonly type: 'u32' | 'f32';
}

/**
 * One WGSL entry point. Bindings are `@group(0)`, numbered in order; the uniform struct, if any, comes after them. Beside
 * the numbers of the call, uniforms and formulas may name what `planOf` chooses, by a `$` and a name.
 */
export interface GpuKernelDescription {
  readonly name: string;
  /** Where the WGSL is: `new URL('./file.wgsl', import.meta.url)`. */
  readonly source: URL;
  /** Where the text is that stands for the end of the WGSL on devices with subgroups, if lanes merge what they have. */
  readonly subgroups?: URL;
  /** Its name, if not given. */
  readonly entryPoint?: string;
  readonly bindings: readonly BindingDescription[];
  readonly uniforms: readonly UniformDescription[];
  /** How it can be spread over the device by the override constants `width` and `together`, which its module has. */
  readonly tiles: TilesDescription;
  /** What runs instead where kept indices have to be cut into blocks. */
  readonly otherwise?: readonly GpuKernelDescription[];
}

/** A kernel visits kept indices (channels, or rows), and of each the elements. */
export interface TilesDescription {
  /** How many kept indices and elements there are, those that a lane takes in at once (`$many`) counted as one. */
  readonly kept: (n: Numbers) => number;
  readonly over: (n: Numbers) => number;
  /** The axis along which lanes can take in four at once, where its size is a multiple of that. */
  readonly vector?: string;
  /** Neighbouring elements belong to different kept indices. */
  readonly isAcross?: true;
  /** Of kernels that reduce: how many f32 of workgroup memory a lane needs. */
  readonly shared?: number;
  /** It can reduce blocks of elements to partial results, and merge these when it runs again. */
  readonly splits?: true;
  /** It goes on to compute each block's elements from the results, also those that it has merged from partial ones. */
  readonly maps?: true;
}

/** One plain function over typed arrays: the bindings' arrays in order, then the uniforms' numbers in order. */
export interface CpuKernelDescription {
  readonly name: string;
  readonly run: (...args: never[]) => void;
  readonly bindings: readonly BindingDescription[];
  readonly uniforms: readonly UniformDescription[];
}

/** A function of a module, over a range of parts or of kept indices. */
export interface WasmRoutineDescription {
  readonly name: string;
  readonly over: 'kept' | 'parts';
}

/** Routines that follow each other for each kept index, or, where those are cut into blocks, each as a whole. */
export interface WasmPhaseDescription {
  readonly kept: (n: Numbers) => number;
  /** Into how many blocks a kept index can be cut. */
  readonly units: (n: Numbers) => number;
  /** How many blocks it has to have for the same block of neighbours to lie side by side in memory. */
  readonly strips: (n: Numbers) => number;
  /** Elements visited. */
  readonly elements: (n: Numbers) => number;
  /** The number that says into how many blocks a kept index is cut: for the runtime to decide. */
  readonly blocks: string;
  readonly routines: readonly WasmRoutineDescription[];
  /** The function that runs all routines for a range of kept indices. */
  readonly together: string;
}

/** Functions of a WebAssembly module: see the comment above its bytes. */
export interface WasmKernelDescription {
  readonly name: string;
  /** The module's bytes in base64. */
  readonly module: string;
  readonly bindings: readonly BindingDescription[];
  readonly uniforms: readonly UniformDescription[];
  /** Where the bindings' addresses and the uniforms lie among the numbers of a call. */
  readonly slots: readonly number[];
  readonly phases: readonly WasmPhaseDescription[];
}

/** Kernels to run in order. A list may be absent where that target was not generated. */
export interface DirectionDescription {
  readonly wasm?: readonly WasmKernelDescription[];
  readonly cpu?: readonly CpuKernelDescription[];
  readonly gpu?: readonly GpuKernelDescription[];
}

export interface LayoutDescription {
  readonly forward: DirectionDescription;
  /** By the wanted arguments' names in signature order, joined by a space: `'x weight'`. */
  readonly backward: { readonly [wrt: string]: DirectionDescription };
  readonly jvp?: DirectionDescription;
  readonly double_backward?: { readonly [wrt: string]: DirectionDescription };
}

export interface VariantDescription {
  /** What every call of this variant must meet; what a variant can never meet is in `unavailable`. */
  readonly requirements?: readonly RequirementDescription[];
  /** Axes in physical order joined by a space, e.g. `'n c s'` → that layout's kernels. */
  readonly layouts: { readonly [order: string]: LayoutDescription };
}

export interface RequirementDescription {
  readonly test: (n: Numbers) => boolean;
  readonly message: string;
}

/** Everything the runtime needs of one op. The type parameter carries the precise types for callers and has no value. */
export interface OpDescription<Types extends OpTypes = OpTypes> {
  readonly name: string;
  readonly arguments: readonly ArgumentDescription[];
  readonly returns: readonly ReturnDescription[];
  /** Every axis, in order of first appearance. */
  readonly axes: readonly string[];
  /** Physical axis orders; the first is the default. */
  readonly layouts: readonly (readonly string[])[];
  /** Optional tensors that are given together or not at all. */
  readonly together: readonly (readonly string[])[];
  /** By the names of the true flags and the given optional tensors, in signature order, joined by a space. */
  readonly variants: { readonly [key: string]: VariantDescription };
  /** Why a combination that is not among the variants cannot be called, by the same kind of key. */
  readonly unavailable: { readonly [key: string]: string };
  readonly types?: Types;
}

/** The precise types of one op, generated: names of tensors and attributes, which are optional. */
export interface OpTypes {
  /** Tensors passed: `{ x: 'required'; weight: 'optional' }`. */
  readonly tensors: { readonly [name: string]: 'required' | 'optional' };
  /** Attributes passed, with their types; those with defaults are optional properties. */
  readonly attributes: object;
  readonly returns: string;
  /** The returns that have a cotangent. */
  readonly differentiableReturns: string;
  /** The arguments that have a gradient. */
  readonly differentiable: string;
  /** Layouts by their order, e.g. `'n c s' | 'n s c'`. */
  readonly layouts: string;
}
