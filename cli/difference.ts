/** How a folder differs from what would be written, for people. */
import { createTwoFilesPatch } from 'diff';
import type { Changes } from './output.ts';

/** More changed lines than this are not worked out. */
const mostEdits = 4000;

const withoutReturns = (text: string): string => text.replaceAll('\r\n', '\n');

/** A unified diff of every changed file, from what is there to what should be; files missing or left over, by name. */
export function differenceText({ folder, added, changed, removed, before, after }: Changes): string {
  const name = (path: string): string => `${folder.replace(/\/+$/, '')}/${path}`;
  const diffs = changed.map((path) => {
    if (withoutReturns(before.get(path)!) === withoutReturns(after.get(path)!))
      return `line ends differ: ${name(path)}\n`;
    const labels = [`${name(path)} (as it is)`, `${name(path)} (as it would be written)`] as const;
    const patch = createTwoFilesPatch(...labels, before.get(path)!, after.get(path)!, undefined, undefined, {
      context: 3,
      maxEditLength: mostEdits,
      headerOptions: { includeIndex: false, includeUnderline: false, includeFileHeaders: true },
    });
    return patch ?? `--- ${labels[0]}\n+++ ${labels[1]}\n(too different to show)\n`;
  });
  return [
    ...diffs,
    ...added.map((path) => `missing: ${name(path)}\n`),
    ...removed.map((path) => `left over: ${name(path)}\n`),
  ].join('');
}
