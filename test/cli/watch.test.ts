/** `build --watch`: what it sees of a spec, however that is saved. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { normgrad, type Outcome, rightClaim, scaled, temporaryFolder } from './harness.ts';

const root = temporaryFolder();
const newFolder = (): string => mkdtempSync(join(root, 'folder-'));
const other = '\n- name: other(Tensor x[n]) -> Tensor y[n]\n  forward:\n    y: 2 * x\n';

interface Watching {
  readonly spec: string;
  /** Waits for it, in what came since the last time. */
  readonly until: (pattern: RegExp) => Promise<void>;
}

/** Watches `folder/spec.yaml`, which first has two ops, while something is done. */
async function watching(
  folder: string,
  work: (watch: Watching) => Promise<void>,
  ...more: string[]
): Promise<Outcome> {
  const spec = join(folder, 'spec.yaml');
  writeFileSync(spec, scaled(rightClaim) + other);
  const end = new AbortController();
  let seen = '';
  const onText = (text: string): void => {
    seen += text;
  };
  const argv = ['build', spec, '--out', join(newFolder(), 'out'), '--watch', ...more];
  const outcome = normgrad(argv, { signal: end.signal, onText });
  const until = async (pattern: RegExp): Promise<void> => {
    const limit = Date.now() + 90_000;
    while (!pattern.test(seen) && Date.now() < limit) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.match(seen, pattern);
    seen = '';
  };
  try {
    await work({ spec, until });
  } finally {
    end.abort();
  }
  return outcome;
}

test('it builds at each save and survives mistakes', async () => {
  const { status } = await watching(newFolder(), async ({ spec, until }) => {
    await until(/watching/);
    writeFileSync(spec, scaled('nonsense'));
    await until(/unknown-name/);
    writeFileSync(spec, scaled(rightClaim));
    await until(/removed/);
  });
  assert.is(status, 0);
});

test('what was saved during the first build is built', async () => {
  await watching(newFolder(), async ({ spec, until }) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    writeFileSync(spec, scaled('nonsense'));
    await until(/unknown-name/);
  });
});

test('edits through a link, and what a link is turned to', async () => {
  const [folder, elsewhere] = [newFolder(), newFolder()];
  const [first, second] = [join(elsewhere, 'a.yaml'), join(elsewhere, 'b.yaml')];
  writeFileSync(first, '');
  symlinkSync(first, join(folder, 'spec.yaml'));
  await watching(folder, async ({ spec, until }) => {
    await until(/watching/);
    writeFileSync(first, scaled('nonsense'));
    await until(/unknown-name/);
    writeFileSync(second, scaled(rightClaim));
    symlinkSync(second, join(folder, 'new'));
    renameSync(join(folder, 'new'), spec);
    await until(/removed/);
  });
});

test('a folder that is gone, and one that is put in its place', async () => {
  const folder = join(newFolder(), 'specs');
  mkdirSync(folder);
  await watching(folder, async ({ spec, until }) => {
    await until(/watching/);
    rmSync(folder, { recursive: true });
    await until(/spec\.yaml is gone/);
    mkdirSync(folder);
    writeFileSync(spec, scaled(rightClaim));
    await until(/removed/);
  });
});

test('with --json every mistake is JSON', async () => {
  const work = async ({ spec, until }: Watching): Promise<void> => {
    await until(/watching/);
    writeFileSync(spec, other);
    await until(/no op/);
    rmSync(spec);
    await until(/is gone/);
  };
  const { out, err } = await watching(newFolder(), work, '--json', '--only', 'scaled');
  assert.is(err.replace(/^watching .*\n/, ''), '');
  const found = out
    .trim()
    .split(/(?<=^\})\n/m)
    .map((text) => JSON.parse(text).diagnostics[0]?.message);
  assert.is(found[0], undefined);
  assert.match(found[1], /no op 'scaled'/);
  assert.match(found[2], /is gone/);
});

test.run();
