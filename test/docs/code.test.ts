/** Code in documents is what the compiler prints. UPDATE_GOLDEN=1 rewrites docs/architecture.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { printKernels } from '../../compiler/emit/typescript.ts';
import { lowerEntry } from '../../compiler/graph/formulas.ts';
import { printProgram } from '../../compiler/graph/print.ts';
import { lowerCpu } from '../../compiler/kernel/cpu.ts';
import type { Kernel } from '../../compiler/kernel/kernel.ts';
import { printStages } from '../../compiler/schedule/print.ts';
import { gradientsOf, programsOf } from '../../compiler/schedule/program.ts';
import { stagesOf } from '../../compiler/schedule/stages.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';
import { variantsOf } from '../../compiler/spec/variants.ts';

const page = new URL('../../docs/architecture.md', import.meta.url);
const text = readFileSync(new URL('../../derivatives.yaml', import.meta.url), 'utf8');

function blocks(): Map<string, string> {
  const [entry] = parseSpec(text, 'derivatives.yaml').spec.entries;
  const forward = lowerEntry(entry!, variantsOf(entry!)[0]!);
  const { backward } = programsOf(forward);
  const program = backward.find(({ wrt }) => wrt.length === 3)!;
  const stages = stagesOf(program);
  const gradients = [...gradientsOf(forward)].map(([name, expr]) => ({ name: `d${name}`, expr }));
  return new Map([
    ['forward', printProgram(forward.returns)],
    ['backward', printProgram(gradients)],
    ['stages', printStages(stages)],
    ['kernel', functionsOf(lowerCpu(entry!, program, stages, entry!.layouts[0]!))],
  ]);
}

function functionsOf(kernel: Kernel): string {
  const { loops, bodyOf } = printKernels([kernel]);
  return [bodyOf(kernel, ''), ...loops].join('\n\n');
}

const architecture = suite('docs/architecture.md');

for (const [name, expected] of blocks()) {
  architecture(name, () => {
    const shown = readFileSync(page, 'utf8');
    const block = new RegExp(`(<!-- ${name} -->\n\`\`\`\\w*\n)([^]*?)(\`\`\`)`);
    assert.match(shown, block);
    if (process.env.UPDATE_GOLDEN) {
      writeFileSync(
        page,
        shown.replace(block, (_, before: string, __, after: string) => `${before}${expected}\n${after}`),
      );
    } else {
      assert.is(block.exec(shown)![2], `${expected}\n`);
    }
  });
}

architecture.run();

const changelog = suite('CHANGELOG.md');

changelog('code is what is emitted', () => {
  const shown = readFileSync(new URL('../../CHANGELOG.md', import.meta.url), 'utf8');
  const emitted = readFileSync(
    new URL('../../generated/batch_norm/backward_1.wgsl', import.meta.url),
    'utf8',
  );
  const blocks = [...shown.matchAll(/```wgsl\n(.*?)```/gs)].map(([, code]) => code!);
  assert.ok(blocks.length > 0);
  for (const code of blocks) assert.ok(emitted.includes(code), code);
});

changelog.run();
