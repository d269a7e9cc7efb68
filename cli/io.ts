/** What commands are handed instead of the process, and the errors that they end with. */
import type { Place } from '../compiler/diagnostics.ts';
import type { Values } from './arguments.ts';

export interface Io {
  /** Results. */
  readonly out: (text: string) => void;
  /** Everything else. */
  readonly err: (text: string) => void;
  /** All of standard input. */
  readonly input: () => Promise<Uint8Array>;
  /** Whether somebody watches standard error. */
  readonly isWatched: boolean;
  /** Ends a command that would run for ever. */
  readonly signal?: AbortSignal;
}

/** A command: takes its arguments, returns the exit status. */
export type Run = (values: Values, io: Io) => Promise<number>;

/** Wrong usage: exit status 2. */
export class UsageError extends Error {}

/** Something the user can mend, in one message: exit status 1. */
export class Failure extends Error {
  constructor(
    message: string,
    /** In what file, and where in it. */
    readonly place?: { readonly file: string } & Partial<Place>,
  ) {
    super(message);
  }
}

/** The first line of what was thrown. */
export const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
