/** Text that the user names, which has to be UTF-8. */
import { readFile } from 'node:fs/promises';
import { locate } from '../compiler/diagnostics.ts';
import { quoted } from '../compiler/spec/codes.ts';
import { Failure, reasonOf, UsageError } from './io.ts';

/** A file that cannot be read is wrong usage; `missing` is what to say of one that is not there. */
export async function readBytes(
  file: string,
  missing = `there is no file ${quoted(file)}`,
): Promise<Uint8Array> {
  return readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new UsageError(missing);
    throw new UsageError(`cannot read ${quoted(file)}: ${reasonOf(error)}`);
  });
}

export const notText = 'this is not text in UTF-8';

export function textOf(bytes: Uint8Array, name: string): string {
  const { text, mistake } = decode(bytes);
  if (mistake !== undefined) throw new Failure(notText, { file: name, ...locate(text, mistake) });
  return text;
}

/** The byte order mark stays: positions are counted from it. `mistake` is where in the text the first one is. */
export function decode(bytes: Uint8Array): { readonly text: string; readonly mistake?: number } {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const text = decoder.decode(bytes);
  const again = new TextEncoder().encode(text);
  const first = again.findIndex((byte, i) => byte !== bytes[i]);
  // What replaces a mistake may begin with the same byte: of a character that is not whole, nothing is counted.
  return first < 0
    ? { text }
    : { text, mistake: decoder.decode(again.subarray(0, first), { stream: true }).length };
}
