/** `normgrad explain`: what it says of the shipped spec, and what it answers to mistakes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { normgrad, temporaryFolder } from '../cli/harness.ts';

const training = 'weight bias running_mean running_var training';
const frozen = 'weight bias running_mean running_var';
const flat = (text: string): string => text.replace(/\s+/g, ' ');

const words = suite('what a reader is told');
words('training: why the mean inside the variance adds nothing', async () => {
  const { status, out } = await normgrad(['explain', 'batch_norm', '--wrt', 'x']);
  assert.is(status, 0);
  assert.match(flat(out), /Variant: training; with weight, bias, running_mean, and running_var\./);
  assert.match(flat(out), /sum\(c, n, s\) → 0 centred values sum to zero: Σₐ \(x − meanₐ x\) → 0/);
  assert.match(flat(out), /x acts through mean, var, invstd, and xhat/);
  assert.match(
    flat(out),
    'dx[n, c, s] = weight * invstd * (grad_y - invstd ^ 2 * mean((x - mean) * grad_y, n, s) * (x - mean) - mean(grad_y, n, s))',
  );
  assert.match(flat(out), /Two reductions in one pass/);
});
words('frozen: what does not depend on x contributes nothing', async () => {
  const { out } = await normgrad(['explain', 'batch_norm', '--variant', frozen, '--wrt', 'x']);
  assert.match(
    flat(out),
    'mean, var, and invstd do not depend on x: they are constant here, have no gradients, and contribute nothing.',
  );
  assert.match(out, 'dx[n, c, s] = weight * invstd * grad_y\n');
  assert.match(flat(out), /No reductions/);
  assert.not.match(out, /centred values/);
});
words('forward mode and the double backward', async () => {
  const { status, out } = await normgrad(['explain', 'batch_norm', '--direction', 'double_backward, jvp']);
  assert.is(status, 0);
  assert.ok(out.indexOf('Forward mode') < out.indexOf('Double backward'));
  assert.match(flat(out), /Two reductions in one pass.*Five reductions in one pass/);
  assert.match(
    flat(out),
    'second_grad_y[n, c, s] = weight * invstd * v_x + invstd * (v_weight - weight * invstd ^ 2 * mean((x - mean) * v_x, n, s)) * (x - mean) + v_bias - weight * invstd * mean(v_x, n, s)',
  );
  assert.match(flat(out), 'No gradient depends on bias: its second-order gradient is zero.');
});
words('frozen: the double backward reduces for the weight alone', async () => {
  const argv = ['explain', 'batch_norm', '--variant', frozen, '--direction', 'double_backward'];
  const { out } = await normgrad(argv);
  assert.match(flat(out), 'second_x[n, c, s] = v_weight * invstd * grad_y ');
});
words.run();

const usage = suite('usage');
usage('the words of a variant come in any order, and variants with commas', async () => {
  const mixed = 'training running_var bias running_mean weight';
  const { status, out } = await normgrad(['explain', 'batch_norm', '--variant', `${mixed}, ${frozen}`]);
  assert.is(status, 0);
  assert.match(out, /^Training; with weight, bias, running_mean, and running_var$/m);
  assert.match(out, /^Not training; with weight, bias, running_mean, and running_var$/m);
});
usage('the variant of which nothing is true or given has an empty name', async () => {
  const { status, out, err } = await normgrad(['explain', 'rms_norm', '--variant', '']);
  assert.is(status, 0, err);
  assert.ok(out.length > 0);
  assert.match(
    (await normgrad(['explain', 'rms_norm', '--variant', 'q'])).err,
    /its variants are\n.*\n {2}''/,
  );
});
usage('an unknown variant is answered with those there are', async () => {
  const { status, out, err } = await normgrad(['explain', 'batch_norm', '--variant', 'weight trainng']);
  assert.is(status, 2);
  assert.is(out, '');
  assert.match(err, `no variant 'weight trainng'`);
  assert.match(err, `\n  '${training}'\n`);
});
for (const [what, argv, message] of [
  ['an unknown op', ['batch_nrm'], `did you mean 'batch_norm'?`],
  ['no op', [], 'explain needs OP'],
  ['an unknown gradient', ['batch_norm', '--wrt', 'wieght'], `did you mean 'weight'?`],
  ['a gradient of what has none', ['batch_norm', '--wrt', 'running_mean'], `'x', 'weight', 'bias'`],
  ['a wrt of commas', ['batch_norm', '--wrt', ','], '--wrt needs a value before and after each comma'],
  ['a wrt that ends in one', ['batch_norm', '--wrt', 'x, '], "each comma, not 'x, '"],
  ['variants of commas', ['rms_norm', '--variant', ','], '--variant needs a value before and after'],
  ['variants that end in one', ['rms_norm', '--variant', 'weight,'], "each comma, not 'weight,'"],
  ['an unknown format', ['batch_norm', '--format', 'pdf'], `unknown format 'pdf'`],
  ['an unknown direction', ['batch_norm', '--direction', 'jpv'], `did you mean 'jvp'?`],
  ['a spec that is not there', ['batch_norm', '--spec', 'nowhere.yaml'], `no file 'nowhere.yaml'`],
] as const) {
  usage(what, async () => {
    const { status, out, err } = await normgrad(['explain', ...argv]);
    assert.is(status, 2);
    assert.is(out, '');
    assert.match(err, message);
  });
}
usage('--out writes a file', async () => {
  const file = join(temporaryFolder(), 'rms.html');
  const { status, out } = await normgrad(['explain', 'rms_norm', '--format', 'html', '--out', file]);
  assert.is(status, 0);
  assert.is(out, '');
  assert.match(readFileSync(file, 'utf8'), /^<!DOCTYPE html>/);
});
usage('every shipped op, in its first variant', async () => {
  const spec = readFileSync('derivatives.yaml', 'utf8');
  for (const [, op] of spec.matchAll(/^- name: (?:>-\n\s*)?(\w+)\(/gm))
    assert.is((await normgrad(['explain', op!])).status, 0, op);
});
usage.run();

const page = suite('docs/batch_norm.html');
page('is what the command writes: npm run docs', async () => {
  const directions = 'backward,jvp,double_backward';
  const { out } = await normgrad([
    ...['explain', 'batch_norm', '--variant', `${training}, ${frozen}`],
    ...['--direction', directions, '--format', 'html'],
  ]);
  assert.is(readFileSync('docs/batch_norm.html', 'utf8') === out, true, 'run npm run docs');
});
page.run();
