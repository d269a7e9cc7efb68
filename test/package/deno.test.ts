/** The runtime and what is generated in Deno, which reads TypeScript with another parser than those of Node's tools. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../cli/harness.ts';
import { findDeno } from '../devices/validate.ts';

const href = (path: string): string => new URL(`../../${path}`, import.meta.url).href;
const project = temporaryFolder();
writeFileSync(
  join(project, 'imports.json'),
  JSON.stringify({ imports: { 'normgrad/runtime': href('runtime/index.ts') } }),
);
writeFileSync(
  join(project, 'program.ts'),
  `import { cpu } from 'normgrad/runtime';
import { batch_norm } from '${href('generated/index.ts')}';

const found = [];
for (const target of ['wasm', 'typescript'] as const) {
  const device = cpu({ target, threads: 2 });
  const x = device.tensor([3, 1, 1], [1, 2, 6]);
  const run = await device.run(batch_norm, { x }, { training: true, eps: 0 });
  const { x: dx } = await run.backward({ y: device.tensor([3, 1, 1], [1, 0, 0]) }, ['x']);
  const second = await run.doubleBackward({ y: x }, { x });
  found.push([run.outputs.y, dx, second.grad_y].map((tensor) => [...tensor.storage]));
}
console.log(JSON.stringify(found));
`,
);

test('forward, backward and double backward', () => {
  const flags = ['--no-remote', '--no-npm', '--no-config', '--no-lock', '--no-check', '--no-prompt'];
  const imports = ['--import-map', join(project, 'imports.json')];
  const program = join(project, 'program.ts');
  const printed = execFileSync(findDeno(), ['run', '--allow-all', ...flags, ...imports, program], {
    env: { ...process.env, DENO_DIR: join(tmpdir(), 'normgrad-deno'), DENO_NO_UPDATE_CHECK: '1' },
    encoding: 'utf8',
  });
  const [wasm, typescript] = JSON.parse(printed) as number[][][];
  // x has the mean 3 and the variance 14/3; dx = invstd (dy − mean dy − xhat mean(dy xhat)); along x itself y does not move
  const invstd = Math.sqrt(3 / 14);
  const xhat = [-2, -1, 3].map((v) => v * invstd);
  const dx = xhat.map((v, i) => invstd * ((i === 0 ? 1 : 0) - 1 / 3 - (v * xhat[0]!) / 3));
  for (const found of [wasm!, typescript!])
    for (const [k, expected] of [xhat, dx, [0, 0, 0]].entries())
      for (const [i, value] of found[k]!.entries())
        assert.ok(Math.abs(value - expected[i]!) < 1e-6, `${k}, ${i}: ${value}, not ${expected[i]}`);
});

test.run();
