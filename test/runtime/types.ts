/** What must and must not compile. Never run: `tsc` is the test. */
import type { CpuDevice, Tensor, WebGpuDevice } from '../../runtime/index.ts';
import { scale } from './scale.ts';

export async function accepted(device: CpuDevice | WebGpuDevice, t: Tensor): Promise<Tensor[]> {
  const run = await device.run(
    scale,
    { x: t, weight: null },
    { training: true, g: 2 },
    { layout: 'n s g k' },
  );
  const { y, energy, sums }: { y: Tensor; energy: Tensor; sums: Tensor } = run.outputs;
  const all = await run.backward({ y, energy: undefined });
  const x: Tensor = all.x;
  const weight: Tensor | undefined = all.weight;
  const some = await run.backward({ y }, ['weight']);
  const second = await run.doubleBackward({ y }, { x: t }, ['x']);
  const tangents = await run.jvp({ x: t });
  return [sums, energy, x, weight ?? t, some.weight, second.grad_y ?? t, second.x ?? t, tangents.energy];
}

export function sync(device: CpuDevice, t: Tensor): Tensor {
  const run = device.runSync(scale, { x: t }, { training: false });
  return run.backward({ y: t }, ['x']).x;
}

export async function refused(device: CpuDevice | WebGpuDevice, t: Tensor): Promise<void> {
  // @ts-expect-error x is required
  await device.run(scale, { weight: t }, { training: true });
  // @ts-expect-error x may not be null
  await device.run(scale, { x: null }, { training: true });
  // @ts-expect-error there is no tensor bias
  await device.run(scale, { x: t, bias: t }, { training: true });
  // @ts-expect-error training is required
  await device.run(scale, { x: t }, { g: 2 });
  // @ts-expect-error attributes are required
  await device.run(scale, { x: t });
  // @ts-expect-error training is a boolean
  await device.run(scale, { x: t }, { training: 1 });
  // @ts-expect-error there is no attribute momentum
  await device.run(scale, { x: t }, { training: true, momentum: 1 });
  // @ts-expect-error there is no such layout
  await device.run(scale, { x: t }, { training: true }, { layout: 'n c s' });

  const run = await device.run(scale, { x: t }, { training: true });
  // @ts-expect-error there is no return mean
  run.outputs.mean;
  // @ts-expect-error sums has no cotangent
  await run.backward({ sums: t });
  // @ts-expect-error total has no gradient
  await run.backward({ y: t }, ['total']);
  // @ts-expect-error only the gradient of x was asked for
  (await run.backward({ y: t }, ['x'])).weight;
  // @ts-expect-error weight is optional, so its gradient may be absent
  const weight: Tensor = (await run.backward({ y: t })).weight;
  // @ts-expect-error total has no tangent
  await run.jvp({ total: t, weight });
  // @ts-expect-error the double backward has no gradient of total
  (await run.doubleBackward({ y: t }, { x: t })).total;
}
