/** Puts launches into a device's queue; in a loop over the same buffers and numbers it creates nothing anew. */
import { fail } from './error.ts';
import type { Step } from './execute.ts';
import type { Launch } from './launch.ts';
import type { Pipelines } from './pipeline.ts';
import { remember } from './remember.ts';

/** Bind groups of a launch that are remembered. */
const mostGroups = 64;
/** Workgroups of a dimension: as many as every device allows. */
export const mostWorkgroups = 65535;
const uniformUsage = 64; // GPUBufferUsage.UNIFORM, which Node has not as a global

interface Remembered {
  readonly uniforms: readonly GPUBuffer[];
  /** By the numbers of their buffers. */
  readonly groups: Map<string, GPUBindGroup>;
}

/** Encodes commands and puts them into the queue. */
export function submit(device: GPUDevice, encode: (encoder: GPUCommandEncoder) => void): void {
  const encoder = device.createCommandEncoder();
  encode(encoder);
  device.queue.submit([encoder.finish()]);
}

/**
 * What puts steps, whose kernels are prepared, into the queue as one pass. Throws `limit` where a kernel has more
 * workgroups than two dimensions can count.
 */
export function makeDispatch(device: GPUDevice, pipelines: Pipelines) {
  const remembered = new WeakMap<Launch, Remembered>();
  const numbered = new WeakMap<GPUBuffer, number>();
  let next = 0;
  const numberOf = (buffer: GPUBuffer) => remember(numbered, buffer, () => next++);

  const bindGroupOf = ({ kernel, handles }: Step<Launch>, layout: GPUBindGroupLayout) => {
    const { uniforms, groups } = remember(remembered, kernel, () => ({
      uniforms: kernel.uniforms.length > 0 ? [uniformBuffer(device, kernel)] : [],
      groups: new Map(),
    }));
    const buffers = [...(handles as GPUBuffer[]), ...uniforms];
    return remember(groups, buffers.map(numberOf).join(), () => {
      if (groups.size === mostGroups) groups.clear();
      const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
      return device.createBindGroup({ layout, entries });
    });
  };

  return (steps: readonly Step<Launch>[]): void =>
    submit(device, (encoder) => {
      const pass = encoder.beginComputePass();
      for (const step of steps) {
        const { name, numbers } = step.kernel;
        const { $groups, $blocks } = numbers;
        if (!$groups) continue;
        const [pipeline, layout] = pipelines.get(step.kernel);
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroupOf(step, layout));
        // the kernel numbers workgroups `x + y * 65535` and ignores those past its count
        const y = Math.ceil($groups / mostWorkgroups);
        if (y > mostWorkgroups) fail('limit', `the tensors are too large for ${name}`);
        pass.dispatchWorkgroups(Math.min($groups, mostWorkgroups), y, $blocks);
      }
      pass.end();
    });
}

/** A struct of 4-byte members in order, padded to 16 bytes. */
function uniformBuffer(device: GPUDevice, { uniforms, numbers }: Launch): GPUBuffer {
  const size = 16 * Math.ceil(uniforms.length / 4);
  const buffer = device.createBuffer({ size, usage: uniformUsage, mappedAtCreation: true });
  const data = buffer.getMappedRange();
  const [whole, real] = [new Uint32Array(data), new Float32Array(data)];
  for (const [i, { name, type }] of uniforms.entries()) (type === 'u32' ? whole : real)[i] = numbers[name]!;
  buffer.unmap();
  return buffer;
}
