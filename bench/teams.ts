/** What runs on the CPU in a process of its own, by the name of the contender or the library. A new one is a row here. */
import { availableParallelism } from 'node:os';
import type { Team } from './contender.ts';

const threads = availableParallelism();
// A process loads its own library alone.
const normgrad = () => import('./contenders/normgrad.ts');
const jax = () => import('./contenders/jax.ts');
const tfjs = () => import('./contenders/tfjs.ts');
const onnx = () => import('./contenders/onnx.ts');

export const teams: { readonly [name: string]: () => Promise<Team> } = {
  TypeScript: async () => (await normgrad()).loadCpu('TypeScript', 'typescript', 1),
  wasm: async () => (await normgrad()).loadCpu('wasm', 'wasm', 1),
  'wasm, all threads': async () => (await normgrad()).loadCpu('wasm, all threads', 'wasm', threads),
  'ONNX Runtime': async () => (await onnx()).loadOnnx(threads),
  'jax-js wasm': async () => (await jax()).loadJax('wasm'),
  'tfjs cpu': async () => (await tfjs()).loadTfjs('cpu'),
  'tfjs wasm': async () => (await tfjs()).loadTfjs('wasm'),
};

/** The names of those that take part without peers. */
export const ours: readonly string[] = ['TypeScript', 'wasm', 'wasm, all threads'];
