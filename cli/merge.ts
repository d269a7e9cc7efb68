/** The index and the manifest of a folder that holds several ops, after one of them was built alone. */

import { stringify } from '../compiler/emit/package.ts';
import { type Target, targets } from '../compiler/targets.ts';
import { Failure } from './io.ts';
import type { Files } from './output.ts';

/** The files of one op's build, with the other ops' entries of an earlier index and manifest kept in the spec's order. */
export function mergeOp(files: Files, earlier: Files, op: string, order: readonly string[]): Files {
  const merged = new Map(files);
  const [index, manifest] = [earlier.get('index.ts'), earlier.get('manifest.json')];
  if (index === undefined || manifest === undefined) {
    const isOther = (path: string): boolean => !path.startsWith(`${op}/`);
    if (![...earlier.keys()].some(isOther)) return merged;
    const missing = index === undefined ? 'index' : 'manifest';
    throw new Failure(`the ${missing} of the earlier build is missing: build without --only`);
  }
  merged.set('index.ts', mergeIndex(files.get('index.ts')!, index, op, order));
  merged.set('manifest.json', mergeManifest(files.get('manifest.json')!, manifest, op, order));
  return merged;
}

/** Ops in the spec's order, then those that the spec no longer has. */
const sorted = <T>(
  entries: readonly (readonly [string, T])[],
  order: readonly string[],
): (readonly [string, T])[] => {
  const place = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return [...entries].sort(([a], [b]) => place(a) - place(b));
};

function mergeIndex(mine: string, earlier: string, op: string, order: readonly string[]): string {
  const linesOf = (text: string): (readonly [string, string])[] =>
    text.split('\n').flatMap((line) => {
      const name = /^export .* from '\.\/(\w+)\/index\.ts';$/.exec(line)?.[1];
      return name === undefined ? [] : [[name, line] as const];
    });
  const kept = linesOf(earlier).filter(([name]) => name !== op);
  const lines = sorted([...kept, ...linesOf(mine)], order).map(([, line]) => line);
  return `${mine.split('\n')[0]}\n\n${lines.join('\n')}\n`;
}

interface Manifest {
  readonly targets?: readonly Target[];
  readonly ops: { readonly [name: string]: unknown };
}

function mergeManifest(mine: string, earlier: string, op: string, order: readonly string[]): string {
  const parsed = JSON.parse(mine) as Manifest;
  const before = readManifest(earlier);
  const generated = targets.filter((target) => [before, parsed].some((m) => m.targets?.includes(target)));
  const kept = Object.entries(before.ops).filter(([name]) => name !== op);
  const ops = Object.fromEntries(sorted([...kept, ...Object.entries(parsed.ops)], order));
  return `${stringify({ ...parsed, ...(parsed.targets && { targets: generated }), ops }, '')}\n`;
}

function readManifest(text: string): Manifest {
  try {
    const parsed = JSON.parse(text) as Manifest;
    if (typeof parsed.ops === 'object') return parsed;
    throw new Error('no ops');
  } catch {
    throw new Failure('the manifest of the earlier build is broken: build without --only');
  }
}
