/** How lanes merge on devices with subgroups: of every size and arrangement, which are played here by workgroup memory. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '../../cli/device.ts';
import { subgroupsText } from '../../compiler/emit/wgsl-lanes.ts';

const test = suite('subgroups');
const { device } = await openDevice({ prefer: 'software' });

/** Where lanes are: so many to a subgroup, and of each lane its subgroup times that plus its number there. */
interface Arrangement {
  readonly title: string;
  readonly size: number;
  readonly slots: readonly number[];
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** What WGSL allows: nothing is said of which lanes are a subgroup, nor that each has as many. */
function arrangements(size: number, lanes: number): Arrangement[] {
  const count = Math.ceil(lanes / size);
  const all = range(lanes);
  return [
    { title: 'in order', size, slots: all },
    { title: 'backwards', size, slots: all.map((lane) => lanes - 1 - lane) },
    { title: 'dealt out', size, slots: all.map((lane) => (lane % count) * size + Math.floor(lane / count)) },
    { title: 'pairs swapped', size, slots: all.map((lane) => lane ^ 1) },
    {
      title: 'the second half elsewhere',
      size,
      slots: all.map((lane) => lane + (lane < lanes / 2 ? 0 : size)),
    },
    { title: 'every other place empty', size, slots: all.map((lane) => 2 * lane) },
    { title: 'from the second place on', size, slots: all.map((lane) => lane + 1) },
  ];
}

/** What the functions of WGSL do, whose names they take: lanes that are not there give nonsense. */
const played = ({ size, slots }: Arrangement): string => {
  const places = Math.max(...slots) + 1 + 256;
  return `
const slots = array<u32, ${slots.length}>(${slots.map((slot) => `${slot}u`).join(', ')});
var<private> slot: u32;
var<workgroup> there: array<bool, ${places}>;
var<workgroup> cells: array<f32, ${places}>;
fn begin_lane(lane: u32) {
  var all = slots;
  slot = all[lane];
  if (lane == 0u) { for (var i = 0u; i < ${places}u; i++) { cells[i] = 1e6; } }
  there[slot] = true;
  workgroupBarrier();
}
fn first_slot() -> u32 { return slot - slot % ${size}u; }
fn exchange_by_memory(a: f32, from_slot: u32) -> f32 {
  cells[slot] = a;
  workgroupBarrier();
  let value = select(777.0, cells[from_slot], there[from_slot]);
  workgroupBarrier();
  return value;
}
fn subgroupShuffleXor(a: f32, by: u32) -> f32 {
  return exchange_by_memory(a, first_slot() + ((slot % ${size}u) ^ by));
}
fn subgroupBallot(value: bool) -> vec4u {
  var bits: vec4u;
  for (var id = 0u; id < ${size}u; id++) {
    if (there[first_slot() + id]) { bits[id / 32u] |= 1u << (id % 32u); }
  }
  return bits;
}
fn subgroupExclusiveAdd(value: u32) -> u32 {
  var count = 0u;
  for (var at = first_slot(); at < slot; at++) { count += select(0u, value, there[at]); }
  return count;
}
fn subgroupBroadcastFirst(value: u32) -> u32 {
  var at = first_slot();
  while (!there[at]) { at++; }
  return bitcast<u32>(exchange_by_memory(bitcast<f32>(value), at));
}
fn subgroupAll(value: bool) -> bool {
  cells[slot] = select(0.0, 1.0, value);
  workgroupBarrier();
  var all = true;
  for (var id = 0u; id < ${size}u; id++) {
    let at = first_slot() + id;
    all = all && (!there[at] || cells[at] == 1.0);
  }
  workgroupBarrier();
  return all;
}`;
};

/** A module whose lanes merge one number each, those of a result so far apart. */
const moduleOf = (text: string, width: number, lanes: number, apart: number): string => `${text}
alias Totals = f32;
const width = ${width}u;
var<workgroup> merged: array<f32, ${lanes}>;
fn merge_totals(a: f32, b: f32) -> f32 { return a + b; }
fn exchanged(a: f32, by: u32) -> f32 { return subgroupShuffleXor(a, by); }
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(${lanes})
fn main(@builtin(local_invocation_index) lane: u32) {
  begin_lane(lane);
  y[lane] = joined(f32(lane * lane % 97u), 0.0, lane, ${apart}u);
}`;

async function run(code: string, lanes: number): Promise<number[]> {
  const module = device.createShaderModule({ code });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const size = 4 * lanes;
  const [buffer, staging] = [128 | 4, 1 | 8].map((usage) => device.createBuffer({ size, usage }));
  const entries = [{ binding: 0, resource: { buffer: buffer! } }];
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(buffer!, 0, staging!, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging!.mapAsync(1);
  return [...new Float32Array(staging!.getMappedRange())];
}

/** The sum for each lane, of those that share its result. */
function sums(width: number, lanes: number, apart: number): number[] {
  const resultOf = (lane: number): number =>
    Math.floor(lane / (width * apart)) * apart + (apart === 1 ? 0 : lane % apart);
  return range(lanes).map((lane) =>
    range(lanes)
      .filter((other) => resultOf(other) === resultOf(lane))
      .reduce((sum, other) => sum + ((other * other) % 97), 0),
  );
}

const text = subgroupsText('').replace('enable subgroups;', '');
/** Lanes that share a result, of all, so far apart. */
type Shape = readonly [width: number, lanes: number, apart: number];
const small: readonly Shape[] = [
  [4, 16, 1],
  [32, 32, 1],
  [4, 16, 4],
];
const large: readonly Shape[] = [[64, 64, 1]];

for (const size of [4, 16, 64]) {
  test(`subgroups of ${size}`, async () => {
    for (const [width, lanes, apart] of size > 16 ? large : small) {
      // what is large takes long
      const all = arrangements(size, lanes).slice(0, size > 16 ? 1 : undefined);
      for (const arrangement of all) {
        const code = moduleOf(text + played(arrangement), width, lanes, apart);
        const where = `${arrangement.title}, ${width} of ${lanes} lanes, ${apart} apart`;
        assert.equal(await run(code, lanes), sums(width, lanes, apart), where);
      }
    }
  });
}

test.run();
