/** Reads a spec from a file and shows what is wrong with it. */
import { readFile } from 'node:fs/promises';
import { type Diagnostic, diagnosticToJson, formatDiagnostic } from '../compiler/diagnostics.ts';
import { didYouMean, listed, quoted } from '../compiler/spec/codes.ts';
import { type Io, reasonOf, UsageError } from './io.ts';

export const defaultSpec = 'derivatives.yaml';

/** A spec's text. A file that is not there is wrong usage. */
export async function readSpec(file: string): Promise<string> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new UsageError(`there is no file ${quoted(file)}`);
    throw new UsageError(`cannot read ${quoted(file)}: ${reasonOf(error)}`);
  });
  try {
    // The byte order mark stays: positions are counted from it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new UsageError(`${quoted(file)} is not text in UTF-8`);
  }
}

/** Shows every mistake, framed on standard error or as JSON on standard output. */
export function showDiagnostics(
  { diagnostics, text, file }: { diagnostics: readonly Diagnostic[]; text: string; file: string },
  isJson: boolean,
  io: Io,
): void {
  if (isJson) {
    io.out(
      `${JSON.stringify({ diagnostics: diagnostics.map((d) => diagnosticToJson(d, text, file)) }, null, 2)}\n`,
    );
    return;
  }
  for (const diagnostic of diagnostics) io.err(`${formatDiagnostic(diagnostic, text, file)}\n\n`);
  io.err(`${diagnostics.length === 1 ? '1 error' : `${diagnostics.length} errors`} in ${file}\n`);
}

/** Throws where a spec has no op of that name. */
export function checkOp(name: string | undefined, names: readonly string[]): void {
  if (name === undefined || names.includes(name)) return;
  const hint = didYouMean(name, names) ?? `the spec has ${listed(names)}`;
  throw new UsageError(`there is no op ${quoted(name)}; ${hint}`);
}
