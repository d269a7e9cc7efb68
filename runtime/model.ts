/**
 * How kernels are spread over a GPU: from sizes and limits alone, since WebGPU does not tell how many cores there are.
 * Any choice gives right results; this one is to be fast.
 */

export interface DeviceShape {
  /** The most lanes of a workgroup: a power of two. */
  readonly lanes: number;
  /** How many f32 of memory a workgroup has. */
  readonly shared: number;
  /** Lanes that run as one, 0 where the device does not tell. */
  readonly subgroup: number;
}

/** A kernel's work: so many kept indices, and elements of each. */
export interface Work {
  readonly kept: number;
  readonly over: number;
  /** Whether neighbouring elements belong to different kept indices. */
  readonly isAcross: boolean;
  /** How many f32 of workgroup memory a lane needs: it reduces. */
  readonly shared: number;
  /** Whether kept indices can be cut into blocks. */
  readonly splits: boolean;
}

export interface Plan {
  /** Lanes that share a kept index. */
  readonly width: number;
  /** Kept indices of a workgroup. */
  readonly together: number;
  /** Into which the elements of each are cut. */
  readonly blocks: number;
}

type Limits = Pick<
  GPUSupportedLimits,
  'maxComputeInvocationsPerWorkgroup' | 'maxComputeWorkgroupSizeX' | 'maxComputeWorkgroupStorageSize'
>;

/** Larger workgroups gain nothing. */
const mostLanes = 256;
/** Neighbouring kept indices that lanes read together, so that memory is read by whole lines. */
const acrossLanes = 16;
/** Elements that a lane should have to itself before another one helps it, with enough lanes busy or without. */
const perLane = 64;
const leastPerLane = 4;
/** Lanes that keep a device busy: most GPUs, and a CPU. */
const busyLanes = 65536;
const busyLanesOfCpu = 64;
/** Partial results that are merged at most; and how much finer to cut what leaves none, and so has no such limit. */
const mostPartials = 64;
const finer = 4;

/** What a device's limits leave of what is worth using; `subgroup` is its most lanes that run as one, or 0. */
export function shapeOf(limits: Limits, subgroup: number): DeviceShape {
  const { maxComputeInvocationsPerWorkgroup: most, maxComputeWorkgroupSizeX: mostX } = limits;
  const shared = limits.maxComputeWorkgroupStorageSize / 4;
  return { lanes: powerBelow(Math.min(most, mostX, mostLanes)), shared, subgroup };
}

/** `kept` and `over` count what lanes take in at once as one. A plan's `width` and `together` are powers of two. */
export function planOf({ kept, over, isAcross, shared, splits }: Work, device: DeviceShape): Plan {
  // the vectors of a CPU, or nearly: lanes wait for each other dearly, and read what they like from its caches
  const isCpu = device.subgroup > 0 && device.subgroup <= 8;
  const busy = isCpu ? busyLanesOfCpu : busyLanes;
  const wanted = isCpu ? device.subgroup * (kept >= 16 * busy ? 4 : 1) : mostLanes;
  const lanes = Math.min(device.lanes, wanted, powerBelow(device.shared / shared));
  const alone = lanes / powerAbove(kept);
  const helped = Math.max(over / perLane, Math.min(over / leastPerLane, busy / kept));
  const width = atLeastOne(
    isCpu
      ? Math.min(alone, powerBelow(over))
      : isAcross
        ? Math.max(alone, lanes / acrossLanes)
        : Math.min(lanes, powerAbove(helped)),
  );
  const [most, cut] = shared > 0 ? [mostPartials, 1] : [over, finer];
  const room = Math.min(most, (cut * busy) / (kept * width), over / (width * leastPerLane * finer));
  return { width, together: lanes / width, blocks: splits ? atLeastOne(room) : 1 };
}

const atLeastOne = (n: number): number => Math.max(1, Math.floor(n));
const powerBelow = (n: number): number => 2 ** Math.floor(Math.log2(Math.max(1, n)));
const powerAbove = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));
