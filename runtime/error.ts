/** Mistakes of the caller and failures of the device, as errors with a stable code. */

export type ErrorCode =
  | 'unknown-name'
  | 'missing'
  | 'type'
  | 'together'
  | 'shape'
  | 'dtype'
  | 'device'
  | 'requirement'
  | 'not-generated'
  | 'aliasing'
  | 'disposed'
  | 'limit'
  | 'out-of-memory'
  | 'device-lost'
  | 'kernel';

export class NormgradError extends Error {
  override readonly name = 'NormgradError';
  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** Throws; an expression, for use after `??`. */
export function fail(code: ErrorCode, message: string): never {
  throw new NormgradError(code, message);
}
