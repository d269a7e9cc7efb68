/** Every spec in a folder, but for the one that has a file of its own: adding one there adds tests. */
import { readdirSync } from 'node:fs';
import { testEntries } from './unusual.ts';

const folder = new URL('../specs/', import.meta.url);
for (const file of readdirSync(folder))
  if (file.endsWith('.yaml') && file !== 'reductions.yaml') testEntries(file);
