/** Says what went wrong, where something was thrown. */
import { Failure, type Io, reasonOf, UsageError } from './io.ts';
import { SpecError, showDiagnostics } from './spec.ts';

/** As text on standard error or as a diagnostic in JSON; returns the exit status. */
export function showError(error: unknown, isJson: boolean, io: Io): number {
  if (error instanceof SpecError) {
    showDiagnostics(error, isJson, io);
    return 1;
  }
  const { code, status, more } = kindOf(error);
  const place = error instanceof Failure ? error.place : undefined;
  const message = error instanceof UsageError || error instanceof Failure ? error.message : reasonOf(error);
  if (isJson) {
    io.out(`${JSON.stringify({ diagnostics: [{ ...place, code, message }] }, null, 2)}\n`);
  } else {
    const where = place ? [place.file, place.line, place.column].filter((part) => part !== undefined) : [];
    const at = where.map((part) => `${part}:`).join('');
    io.err(`normgrad: ${at && `${at} `}${message}\n${more}`);
  }
  if (process.env.NORMGRAD_DEBUG && error instanceof Error) io.err(`${error.stack}\n`);
  return status;
}

function kindOf(error: unknown): { readonly code: string; readonly status: number; readonly more: string } {
  if (error instanceof UsageError) return { code: 'usage', status: 2, more: 'Try: normgrad --help\n' };
  const isOurs = !(error instanceof Failure || (error instanceof Error && 'code' in error));
  if (!isOurs) return { code: 'failed', status: 1, more: '' };
  const more = 'This is a bug: please report it, with the spec and the command that led to it.\n';
  return { code: 'internal', status: 1, more };
}
