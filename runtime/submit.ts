/** Puts launches into a device's queue; in a loop over the same buffers and numbers it creates nothing anew. */
import { makeCache } from './cache.ts';
import type { Numbers } from './description.ts';
import { NormgradError } from './error.ts';
import type { Step } from './execute.ts';
import type { Launch } from './launch.ts';
import type { Compiled, Pipelines } from './pipeline.ts';

/** Bind groups and uniform buffers remembered, which are small. */
const mostRemembered = 4096;
const uniformUsage = 64; // GPUBufferUsage.UNIFORM, which Node has not as a global

export type Submit = (steps: readonly Step<Launch>[]) => void;

export function makeSubmit(device: GPUDevice, pipelines: Pipelines): Submit {
  const uniforms = makeCache<GPUBuffer>(mostRemembered, (buffer) => buffer.destroy());
  const bindGroups = makeCache<GPUBindGroup>(mostRemembered);
  const ids = new WeakMap<GPUBuffer, number>();
  let nextId = 0;
  const idOf = (buffer: GPUBuffer) => {
    const id = ids.get(buffer) ?? nextId++;
    ids.set(buffer, id);
    return id;
  };

  const bindGroupOf = ({ kernel, handles, numbers }: Step<Launch>, { layout, id }: Compiled) => {
    const buffers = [...(handles as GPUBuffer[])];
    if (kernel.uniforms.length > 0) {
      const values = kernel.uniforms.map(({ name, type }) => `${type} ${numbers[name]}`).join();
      buffers.push(uniforms.get(values, () => uniformBuffer(device, kernel, numbers)));
    }
    return bindGroups.get(`${id}: ${buffers.map(idOf)}`, () =>
      device.createBindGroup({
        layout,
        entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
      }),
    );
  };

  return (steps) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const step of steps) {
      const { kernel, numbers } = step;
      const [x, y] = foldWorkgroups(
        kernel.name,
        numbers.$groups!,
        device.limits.maxComputeWorkgroupsPerDimension,
      );
      if (x === 0) continue;
      const compiled = pipelines.get(kernel);
      pass.setPipeline(compiled.pipeline);
      pass.setBindGroup(0, bindGroupOf(step, compiled));
      pass.dispatchWorkgroups(x, y, numbers.$blocks);
    }
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
}

/** Workgroups in x and y. The kernel numbers them `x + y * num_workgroups.x` and ignores those past its count. */
function foldWorkgroups(name: string, count: number, limit: number): readonly [number, number] {
  if (count === 0) return [0, 0];
  const x = Math.min(count, limit);
  const y = Math.ceil(count / x);
  if (y > limit)
    throw new NormgradError('limit', `${name} needs ${count} workgroups: the tensors are too large`);
  return [x, y];
}

/** A struct of 4-byte members in order, padded to 16 bytes. */
function uniformBuffer(device: GPUDevice, { uniforms }: Launch, numbers: Numbers): GPUBuffer {
  const size = 16 * Math.ceil(uniforms.length / 4);
  const buffer = device.createBuffer({ size, usage: uniformUsage, mappedAtCreation: true });
  const view = new DataView(buffer.getMappedRange());
  uniforms.forEach(({ name, type }, i) => {
    if (type === 'u32') view.setUint32(4 * i, numbers[name]!, true);
    else view.setFloat32(4 * i, numbers[name]!, true);
  });
  buffer.unmap();
  return buffer;
}
