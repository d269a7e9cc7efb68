/** Compiles WGSL on a WebGPU device, whichever implementation it is of, and collects what the compiler says. */
import type { WgslFile, WgslMessage } from './validate.ts';

/** What is wrong with the files: their shaders alone, and each as a compute pipeline. */
export async function compileAll(device: GPUDevice, files: readonly WgslFile[]): Promise<WgslMessage[]> {
  const found: WgslMessage[] = [];
  for (const file of files) found.push(...(await compile(device, file)));
  return found;
}

async function compile(device: GPUDevice, { name, code, entryPoint }: WgslFile): Promise<WgslMessage[]> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code });
  const invalid = await device.popErrorScope();
  const messages = (await module.getCompilationInfo()).messages.map(
    ({ type, lineNum, linePos, message }): WgslMessage => ({
      file: name,
      type,
      line: lineNum,
      column: linePos,
      message,
    }),
  );
  const error = (message: string): WgslMessage => ({
    file: name,
    type: 'error',
    line: 0,
    column: 0,
    message,
  });
  if (messages.some(({ type }) => type === 'error')) return messages;
  if (invalid) return [...messages, error(invalid.message)];

  device.pushErrorScope('validation');
  device.createComputePipeline({
    layout: 'auto',
    compute: { module, ...(entryPoint === undefined ? {} : { entryPoint }) },
  });
  const unusable = await device.popErrorScope();
  return unusable ? [...messages, error(unusable.message)] : messages;
}
