/** Mistakes of the caller and failures of the device, as errors with a stable code. */

/** Codes stay the same from version to version; messages do not. */
export type ErrorCode =
  | 'unknown-name' // a tensor, attribute, layout, type or target that the op or the device does not have
  | 'missing' // a required tensor, attribute, op or device, or a gradient of what was not given
  | 'type' // an attribute or an option whose value is not of its type
  | 'together' // optional tensors of which some are given without the others
  | 'shape' // a shape that does not fit the signature, the data, or the sizes of other tensors
  | 'dtype' // tensors of f32 and f64 in one call, or f64 on WebGPU
  | 'device' // a tensor of another device
  | 'requirement' // what the spec refuses: by `require`, or as a variant that cannot be
  | 'not-generated' // a direction, gradients or a target that were not generated, or that the host cannot run
  | 'aliasing' // a state that is updated and shares memory with another tensor of the call
  | 'disposed' // a tensor or a run that was disposed
  | 'limit' // more than the device allows: bytes of a tensor, buffers of a kernel, workgroups
  | 'out-of-memory' // no memory for a tensor, for the caller to dispose others
  | 'device-lost' // a GPU that is gone; so is what its tensors held
  | 'kernel'; // WGSL that cannot be loaded or compiled, or a command that the GPU refused

/** The message names the op, where there is one, and what is wrong in the caller's words. */
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
