/** The thread that `tools.ts` starts. */
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { createPrint, type Morph } from '../compiler/emit/source.ts';
import type { Tools } from '../compiler/emit/tools.ts';
import { assemble } from '../compiler/emit/wasm.ts';
import { loadBinaryen } from '../compiler/emit/wasm-module.ts';
import type { Target } from '../compiler/targets.ts';
import type { Answer, Request } from './tools.ts';

// `import` would read this CommonJS twice, the first time for the names that it exports.
const morph: Morph = createRequire(import.meta.url)('ts-morph');
if ((workerData as readonly Target[]).includes('wasm')) loadBinaryen().catch(() => {}); // awaited where it is used
const tools: Tools = { print: createPrint(async () => morph), assemble };

parentPort!.on('message', async ({ id, tool, argument }: Request) => {
  const answer = (result: Omit<Answer, 'id'>): void => parentPort!.postMessage({ id, ...result });
  try {
    answer({ value: await tools[tool](argument as never) });
  } catch (error) {
    answer({ error });
  }
});
