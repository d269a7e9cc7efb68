/** A WebAssembly module under construction: binaryen, loaded only when this target is emitted. */
import type binaryenModule from 'binaryen';

export type Binaryen = typeof binaryenModule;
export type Module = InstanceType<Binaryen['Module']>;
export type Ref = number;
/** Adds a function to the module if none has the name, which it returns. */
export type Once = (name: string, add: () => void) => string;

let loading: Promise<Binaryen> | undefined;

/** Call it early: most of the time it takes passes outside the main thread. */
export function loadBinaryen(): Promise<Binaryen> {
  loading ??= import('binaryen').then((loaded) => loaded.default);
  return loading;
}

/** The largest shared memory that 32-bit addresses reach, in pages of 64 KiB. */
const pages = 65536;

/** An empty module over the runtime's memory. */
export function openModule(binaryen: Binaryen): Module {
  const m = new binaryen.Module();
  const { Features } = binaryen;
  m.setFeatures(Features.SIMD128 | Features.Atomics | Features.BulkMemory);
  m.setMemory(1, pages, null, [], true, false, '0');
  m.addMemoryImport('0', 'env', 'memory', true);
  return m;
}
