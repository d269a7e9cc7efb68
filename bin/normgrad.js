#!/usr/bin/env node
// In a clone the sources run as they are, through tsx; in the published package, where there are none, the built files.
import { existsSync } from 'node:fs';
import module from 'node:module';

// What was compiled before need not be compiled again, where Node can keep it (22.1 and later).
module.enableCompileCache?.();

const sources = new URL('../cli/main.ts', import.meta.url);
if (existsSync(sources)) {
  const { register } = await import('tsx/esm/api');
  register();
}
const { main } = await import(existsSync(sources) ? sources.href : '../dist/cli/main.js');
process.exitCode = await main(process.argv.slice(2));
