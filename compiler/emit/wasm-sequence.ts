/** Runs the routines of a phase in turn, as a routine of its own. */
import { invariant } from '../diagnostics.ts';
import { namesIn } from '../kernel/collect.ts';
import {
  below,
  binary,
  type Code,
  greatest,
  index,
  least,
  name,
  type Phase,
  type Routine,
  type Statement,
  times,
} from '../kernel/kernel.ts';
import { createNames } from '../kernel/names.ts';

/** Elements that go from routine to routine: enough to make up for calls, few enough for the next to be read ahead meanwhile. */
const together = 2 ** 9;

/**
 * The routines for some kept indices at a time where they are not cut into blocks; otherwise each routine for all of them,
 * with the same block of one after the other, as they lie in memory.
 */
export function sequenceOf({ routines, blocks, all }: Phase, names: readonly string[]): Routine {
  invariant(all, 'routines in turn without what they have in common');
  const { kept, each } = all;
  const { fresh } = createNames([
    blocks.name,
    ...namesIn([{ do: 'let', name: '', value: times(kept, each) }]),
  ]);
  const [begin, end, step] = [fresh('begin'), fresh('end'), fresh('step')];
  const [first, last, cut] = [name(begin, 'index'), name(end, 'index'), name(blocks.name, 'index')];
  const loop = (
    base: string,
    from: Code,
    limit: Code,
    by: Code,
    body: (at: Code) => Statement[],
  ): Statement => {
    const id = fresh(base);
    return { do: 'for', axes: [], name: id, from, below: limit, step: by, body: body(name(id, 'index')) };
  };
  const call = (i: number, from: Code, limit: Code): Statement => {
    const id = names[i]!;
    return { do: 'call', function: id, what: id, from, below: limit };
  };
  const several = greatest(index(1), binary('/', index(together), greatest(index(1), each)));
  const some = loop('kept', first, last, name(step, 'index'), (at) => {
    const next = least(binary('+', at, name(step, 'index')), last);
    return routines.map((_, i) => call(i, at, next));
  });
  const inBlocks = routines.map(({ over }, i): Statement => {
    if (over === 'kept') return call(i, first, last);
    return loop('block', index(0), cut, index(1), (block) => {
      const parts = times(block, kept);
      return [call(i, binary('+', parts, first), binary('+', parts, last))];
    });
  });
  const body: Statement[] = [
    { do: 'let', name: step, value: several },
    { do: 'if', test: below(cut, index(2)), body: [some] },
    { do: 'if', test: below(index(1), cut), body: inBlocks },
  ];
  return { name: 'phase', over: 'kept', begin, end, body };
}
