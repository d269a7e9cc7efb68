/** How many storage buffers a stage binds: devices allow a kernel few. */
import { isBareScratch } from '../graph/handles.ts';
import type { Stage } from '../schedule/stages.ts';
import { expressionsOf, inputsOf, outputsOf } from './tensors.ts';

/** Storage buffers that every device allows a kernel (WebGPU's default maxStorageBuffersPerShaderStage). */
export const mostStorageBuffers = 8;

/** Distinct buffers of a stage, what earlier stages hand over in one. */
export function boundBy(stage: Stage): number {
  const buffers = inputsOf(expressionsOf(stage)).map((node) =>
    isBareScratch(node) ? `packed ${node.axes.join(' ')}` : `${node.role} ${node.of}`,
  );
  return new Set(buffers).size + outputsOf(stage).filter(({ role }) => role !== 'scratch').length;
}
