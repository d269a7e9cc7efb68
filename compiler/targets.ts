/** What kernels are emitted for. */
export const targets = ['typescript', 'wasm', 'wgsl'] as const;
export type Target = (typeof targets)[number];
