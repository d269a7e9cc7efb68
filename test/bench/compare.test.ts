import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { allCases } from '../../bench/cases.ts';
import { bestPeer, type Row, ratioOf } from '../../bench/compare.ts';
import type { Contender } from '../../bench/contender.ts';
import { loadManifest, trafficOf } from '../../bench/manifest.ts';
import { spreadOf, timingOf } from '../../bench/statistics.ts';

const contender = (
  name: string,
  side: Contender['side'],
  threads: Contender['threads'],
  unit: Contender['unit'] = 'cpu',
): Contender => ({
  name,
  side,
  unit,
  threads,
  cannot: () => undefined,
  prepare: () => Promise.reject(new Error('not to be run')),
});

const contenders = [
  contender('mine', 'ours', 'one'),
  contender('mine, all', 'ours', 'all'),
  contender('theirs', 'peer', 'one'),
  contender('theirs, all', 'peer', 'all'),
  contender('theirs on a GPU', 'peer', 'all', 'gpu'),
  contender('copy', 'floor', 'one'),
];
const times: { [name: string]: number } = {
  mine: 2,
  'mine, all': 1,
  theirs: 8,
  'theirs, all': 5,
  'theirs on a GPU': 0.1,
  copy: 0.1,
};
const row: Row = {
  row: allCases()[0]!,
  outcomes: new Map(Object.entries(times).map(([name, ms]) => [name, { timing: timingOf([ms]) }])),
};

test('one thread is compared with one, all with any, on the same kind of device', () => {
  const [mine, mineAll] = contenders as [Contender, Contender];
  assert.is(bestPeer(row, contenders, mine)?.name, 'theirs');
  assert.is(ratioOf(row, contenders, mine), 4);
  assert.is(bestPeer(row, contenders, mineAll)?.name, 'theirs, all');
  assert.is(ratioOf(row, contenders, mineAll), 5);
  assert.is(ratioOf({ ...row, outcomes: new Map() }, contenders, mine), undefined);
});

test('medians and quartiles', () => {
  const timing = timingOf([5, 1, 2, 4, 3]);
  assert.equal(timing, { median: 3, lower: 2, upper: 4 });
  assert.is(Math.round(spreadOf(timing)), 33);
  assert.is(timingOf([1, 2]).median, 1.5);
});

test('every case has its traffic in the manifest', async () => {
  for (const some of allCases())
    assert.match(trafficOf(await loadManifest(some.op), some, 'typescript'), /^\d+: \dR \dW$/);
});

test.run();
