/**
 * The compiler as a library, in Node or a browser: specs to files, and derivatives of any order as graphs to print and to
 * evaluate. It reads and writes no files.
 */
export { type CompileOptions, type CompileResult, compile, type Target, targets } from './compile.ts';
export {
  type Diagnostic,
  type DiagnosticJson,
  diagnosticToJson,
  formatDiagnostic,
  type Span,
} from './diagnostics.ts';
export { explain, type Format, formats, type Wanted } from './explain/explain.ts';
export type { Explained } from './explain/part.ts';
export { type Arithmetic, float64 } from './graph/arithmetic.ts';
export { input } from './graph/build.ts';
export { jvp, vjp } from './graph/differentiate.ts';
export type { Expr, InputRole, Node } from './graph/expr.ts';
export { type Forward, lowerEntry, type Output, type ReturnOutput } from './graph/formulas.ts';
export { arrange, type Bindings, interpret, type Value } from './graph/interpret.ts';
export { formula, printProgram } from './graph/print.ts';
export { settled } from './graph/products.ts';
export { finish } from './graph/rebuild.ts';
export { type Digits, decimal } from './prove/decimal.ts';
export { type Differentiable, differentiable } from './schedule/program.ts';
export { type Parsed, parseSpec } from './spec/parse.ts';
export type * from './spec/spec.ts';
export { variantKey, variantsOf } from './spec/variants.ts';
