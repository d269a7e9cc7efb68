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
const [perLane, leastPerLane] = [64, 4];
/** Lanes that keep most devices busy, and of one whose lanes are those of a CPU. */
const [busyLanes, busyLanesOfCpu] = [2 ** 16, 64];
/** Partial results that are merged at most, and by how much to cut finer what only has to be spread evenly. */
const [mostPartials, finer] = [64, 4];

export function shapeOf(limits: Limits, subgroup: number): DeviceShape {
  const { maxComputeInvocationsPerWorkgroup: most, maxComputeWorkgroupSizeX: mostX } = limits;
  const shared = Math.floor(limits.maxComputeWorkgroupStorageSize / 4);
  return { lanes: powerBelow(Math.min(most, mostX, mostLanes)), shared, subgroup };
}

export function planOf(work: Work, { lanes: most, shared, subgroup }: DeviceShape): Plan {
  const { kept, over, isAcross, splits } = work;
  // the vectors of a CPU: lanes wait for each other dearly, and read what they like from its caches
  const isCpu = subgroup > 0 && subgroup <= 8;
  const room = work.shared > 0 ? powerBelow(shared / work.shared) : most;
  const fewest = Math.min(most, room, isCpu ? subgroup : most);
  const busy = isCpu ? busyLanesOfCpu : busyLanes;
  const isMany = isCpu && kept >= 4 * busy * subgroup;
  const lanes = isMany ? Math.min(most, room, 4 * subgroup) : fewest;
  const width = isCpu
    ? Math.max(1, Math.min(lanes / powerAbove(kept), powerBelow(over)))
    : isAcross
      ? lanes / Math.min(acrossLanes, powerAbove(kept), lanes)
      : Math.min(
          lanes,
          powerAbove(Math.max(over / perLane, Math.min(over / leastPerLane, busy / Math.max(1, kept)))),
        );
  const together = lanes / width;
  if (!splits) return { width, together, blocks: 1 };
  const wanted =
    work.shared > 0 ? Math.min(mostPartials, busy / (kept * width)) : (finer * busy) / (kept * width);
  const blocks = Math.floor(Math.min(wanted, over / (width * leastPerLane * finer)));
  return { width, together, blocks: Math.max(1, blocks) };
}

const powerBelow = (n: number): number => 2 ** Math.floor(Math.log2(Math.max(1, n)));
const powerAbove = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));
