/**
 * How kernels are spread over a GPU: from sizes and limits alone, since WebGPU does not tell how many cores there are.
 * Any choice gives right results; this one is to be fast.
 */

export interface DeviceShape {
  /** Invocations of a workgroup: a power of two. */
  readonly lanes: number;
}

/** What a kernel reduces: how many results it has, of how many elements each. */
export interface Reduced {
  readonly kept: number;
  readonly over: number;
  /** Whether neighbouring elements belong to different results. */
  readonly isAcross: boolean;
}

/** Kernels have room for as many lanes, and larger workgroups gain nothing. */
const mostLanes = 256;
/** Subgroups of a workgroup: each barrier waits for all of them. */
const subgroups = 8;
/** Elements that a lane should have to itself before another one helps it. */
const perLane = 16;
/** Neighbouring results that lanes read together, so that memory is read by whole lines. */
const acrossLanes = 32;

type Limits = Pick<GPUSupportedLimits, 'maxComputeInvocationsPerWorkgroup' | 'maxComputeWorkgroupSizeX'>;

/** `subgroup` is the size of the device's largest subgroup, 0 where it does not tell. */
export function shapeOf(limits: Limits, subgroup: number): DeviceShape {
  const most = Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX, mostLanes);
  const wanted = subgroup > 0 ? subgroups * subgroup : most;
  return { lanes: powerBelow(Math.min(most, wanted)) };
}

/** Lanes that share one result, a power of two: a workgroup works on lanes / width results. */
export function widthOf({ kept, over, isAcross }: Reduced, { lanes }: DeviceShape): number {
  if (isAcross) return lanes / Math.min(acrossLanes, powerAbove(kept), lanes);
  return Math.min(lanes, powerAbove(over / perLane));
}

const powerBelow = (n: number): number => 2 ** Math.floor(Math.log2(Math.max(1, n)));
const powerAbove = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));
