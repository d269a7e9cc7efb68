/** What emitters have large packages do; a caller may have it done on another thread. */
import { createPrint, type Structure } from './source.ts';
import { assemble } from './wasm.ts';
import type { RoutineCode } from './wasm-plan.ts';

/** Prints TypeScript. */
export type Print = (statements: readonly (string | Structure)[]) => Promise<string>;
/** The bytes of a WebAssembly module. */
export type Assemble = (code: readonly RoutineCode[]) => Promise<Uint8Array>;

/** What is passed to them and what they return can be cloned. */
export interface Tools {
  readonly print: Print;
  readonly assemble: Assemble;
}

// a module of CommonJS: in bundles it has its default export alone
export const tools: Tools = {
  print: createPrint(async () => (await import('ts-morph')).default),
  assemble,
};
