/**
 * Prints how the lanes that share a result merge their totals: in workgroup memory, and for devices that have subgroups,
 * among the lanes of one first. Of the latter a module has what depends on its types, as a comment; the rest is a file.
 */
import type { ReduceFunction, SharedArray } from '../kernel/kernel.ts';

/** The file beside the ops' folders that stands for what is below `portable` in their modules: no module by itself. */
export const subgroupsFile = 'subgroups.txt';

/** What begins a line of code for devices with subgroups, and the line below which there is none. */
const [forSubgroups, portable] = ['//subgroups: ', '//portable'];

type Type = SharedArray['type'];

/** The type's name in a module. */
export const typeName = (type: Type): string =>
  typeof type === 'object' ? type.name : { real: 'f32', vector: 'some' }[type];

/** The total of the lane so many lanes further or back, for which `Totals` is the type's name. */
export function printExchange({ returns }: ReduceFunction): string {
  const exchange = (type: Type, id: string): string =>
    typeof type === 'object'
      ? `${type.name}(${type.members.map((member) => exchange(member.type, `${id}.${member.name}`)).join(', ')})`
      : `subgroupShuffleXor(${id}, by)`;
  const type = typeName(returns);
  const alias = type === 'Totals' ? '' : `alias Totals = ${type}; `;
  return `${forSubgroups}${alias}fn exchanged(a: ${type}, by: u32) -> ${type} { return ${exchange(returns, 'a')}; }`;
}

/** How many lanes' totals each of them merges between two barriers, which are dear where arithmetic is not. */
const fanIn = 16;

/** The end of a module. The order of merging is the same for all lanes, so each has the same result. */
export function printJoin({ returns }: ReduceFunction): string {
  const type = typeName(returns);
  return `${portable}

/** Of all lanes that share a result. */
fn joined(own: ${type}, none: ${type}, lane: u32, apart: u32) -> ${type} {
  var total = own;
  let end = width * apart;
  for (var span = apart; span < end; span *= ${fanIn}u) {
    if (span > apart) { workgroupBarrier(); }
    merged[lane] = total;
    workgroupBarrier();
    let around = min(span * ${fanIn}u, end);
    let first = lane - lane % around + lane % span;
    total = none;
    for (var i = first; i < first + around; i += span) { total = merge_totals(total, merged[i]); }
  }
  return total;
}`;
}

/**
 * The same for subgroups of any size. WGSL does not say which lanes of a workgroup are one, so that is looked at: totals
 * are exchanged where a subgroup is whole and its lanes are neighbours in order, as on all devices we know of, and there
 * its leading lanes have those of as many lanes as they say; others say one.
 */
export const subgroupsText = (header: string): string => `// ${header}
//
// How lanes merge where a device has subgroups: to be put before a module, without what is below its line
// \`${portable}\` and with what its lines say that start with \`${forSubgroups.trim()}\`.

enable subgroups;

/** Of how many lanes the leading ones have the total: a bit for each power of two that occurs. */
var<workgroup> reaches: atomic<u32>;

/** The total of all lanes that share a result, which are so far apart. */
fn joined(own: Totals, none: Totals, lane: u32, apart: u32) -> Totals {
  if (width == 1u) { return own; }
  let neighbours = neighbours_of(lane);
  var total = own;
  for (var by = apart; by < min(width * apart, 128u); by *= 2u) {
    let other = exchanged(total, by);
    if (by < neighbours) { total = merge_totals(total, other); }
  }
  let reach = clamp(neighbours / apart, 1u, width);
  let item = lane / apart % width;
  if (item % reach > 0u) { total = none; }
  merged[lane] = total;
  atomicOr(&reaches, reach);
  workgroupBarrier();
  let step = apart << firstTrailingBit(atomicLoad(&reaches));
  let first = lane - item * apart;
  total = none;
  for (var i = first; i < first + width * apart; i += step) { total = merge_totals(total, merged[i]); }
  return total;
}

/** How many lanes a subgroup has, if they are all there, in order, from a multiple of that power of two on; or 1. */
fn neighbours_of(lane: u32) -> u32 {
  let there = subgroupBallot(true);
  let bits = countOneBits(there);
  let count = bits.x + bits.y + bits.z + bits.w;
  let are_first = all(there == vec4u(ones(count, 0u), ones(count, 32u), ones(count, 64u), ones(count, 96u)));
  let first = lane - subgroupExclusiveAdd(1u);
  let are_in_order = first == subgroupBroadcastFirst(first) && first % count == 0u && (count & (count - 1u)) == 0u;
  return select(1u, count, subgroupAll(are_first && are_in_order));
}

/** Of so many ones, those from a place on that fit into 32 bits. */
fn ones(count: u32, place: u32) -> u32 {
  return extractBits(0xffffffffu, 0u, clamp(count, place, place + 32u) - place);
}
`;
