/** Gives libraries that were written for browsers the WebGPU of this process. */
import { type OpenedDevice, openDevice } from '../cli/device.ts';
import type { Absent } from './contender.ts';
import { reasonOf } from './contender.ts';

export interface Gpu {
  /** Ours. */
  readonly opened?: OpenedDevice;
  readonly absent?: Absent;
}

/** Opens a device, and puts `navigator.gpu` in place, whose devices are on the same adapter with the same limits. */
export async function openGpu(): Promise<Gpu> {
  try {
    const opened = await openDevice();
    Object.assign(globalThis, (await import('webgpu')).globals);
    const navigator = { gpu: { requestAdapter }, userAgent: 'Node' };
    Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true, writable: true });
    return { opened };
  } catch (error) {
    return { absent: { name: 'WebGPU', reason: reasonOf(error) } };
  }
}

let firstError: string | undefined;

/** Throws what a library's device has reported since the last time: work that is not valid is done in no time. */
export function checkGpu(): void {
  const message = firstError;
  firstError = undefined;
  if (message) throw new Error(message);
}

/** An adapter as far as libraries look at one: it hands out a device with all its limits, whatever they ask for. */
async function requestAdapter() {
  const features: GPUFeatureName[] = ['timestamp-query', 'shader-f16'];
  const { device, adapter } = await openDevice({ features });
  device.onuncapturederror = (event) => {
    event.preventDefault();
    firstError ??= event.error.message.split('\n')[0];
  };
  return {
    limits: device.limits,
    features: device.features,
    info: { ...adapter, device: '' },
    requestDevice: async () => device,
  };
}
