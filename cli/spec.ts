/** Reads a spec from a file and shows what is wrong with it. */
import { type Diagnostic, diagnosticToJson, formatDiagnostic } from '../compiler/diagnostics.ts';
import { didYouMean, listed, quoted } from '../compiler/spec/codes.ts';
import { type Io, UsageError } from './io.ts';
import { decode, notText, readBytes } from './text.ts';

export const defaultSpec = 'derivatives.yaml';

/** Mistakes of a spec that keep it from being read at all: exit status 1. */
export class SpecError extends Error {
  constructor(
    readonly diagnostics: readonly Diagnostic[],
    readonly text: string,
    readonly file: string,
  ) {
    super('the spec cannot be read');
  }
}

/** A spec's text. A file that is not there is wrong usage; `usage` is how to name another than the default. */
export async function readSpec(file: string, usage: string): Promise<string> {
  const missing =
    file === defaultSpec
      ? `there is no spec ${quoted(file)} in this folder; name another: ${usage}`
      : undefined;
  const { text, mistake } = decode(await readBytes(file, missing));
  if (mistake === undefined) return text;
  const span = { start: mistake, end: mistake + 1 };
  throw new SpecError([{ code: 'encoding', message: notText, span }], text, file);
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
