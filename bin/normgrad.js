#!/usr/bin/env node
// In a clone the sources run, bundled whenever they have changed; in the published package, where there are none, the built files.
import { existsSync } from 'node:fs';
import module from 'node:module';

// What was compiled before need not be compiled again, where Node can keep it (22.1 and later).
module.enableCompileCache?.();

const isClone = existsSync(new URL('../cli/main.ts', import.meta.url));
const entry = isClone
  ? await (await import('./sources.js')).bundleSources()
  : new URL('../dist/cli/main.js', import.meta.url).href;
const { main } = await import(entry);
process.exitCode = await main(process.argv.slice(2));
