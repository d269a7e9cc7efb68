/** Claims of PyTorch's helpers are proved in every variant; subtly wrong ones are refuted with a witness. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ClaimReport, checkClaims } from '../../compiler/prove/claims.ts';
import { parseSpec } from '../../compiler/spec/parse.ts';

const text = readFileSync(new URL('../specs/batch-norm-claims.yaml', import.meta.url), 'utf8');

function claimsOf(spec: string): ClaimReport[] {
  const parsed = parseSpec(spec, 'claims.yaml');
  assert.equal(parsed.diagnostics, []);
  return parsed.spec.entries.flatMap(checkClaims);
}

const right = suite('right claims');

right('every claim in every variant is proved', () => {
  const reports = claimsOf(text);
  assert.is(reports.length, 66);
  for (const { variant, kind, of, result } of reports) {
    assert.is(result.verdict, 'proved', `${kind} of ${of} in ${variant}`);
  }
});

right('functions are proved through their relations', () => {
  const reports = claimsOf(`
- name: op(Tensor x[n]) -> Tensor y[n]
  forward:
    y: log1p(exp(x)) + tanh(x) * sigmoid(2 * x) + abs(x)
  gradients:
    x: grad * (1 / (1 + exp(-x)) + (1 - tanh(x) ^ 2) * sigmoid(2 * x) + tanh(x) * 2 * exp(-2 * x) / (1 + exp(-2 * x)) ^ 2 + sign(x))
`);
  assert.is(reports[0]?.result.verdict, 'proved');
});

right('where only numbers can tell, the digits are counted', () => {
  const reports = claimsOf(`
- name: op(Tensor x[n]) -> Tensor y[n]
  forward:
    y: exp(x) * exp(x ^ 2)
  gradients:
    x: grad * (1 + 2 * x) * exp(x + x ^ 2)
`);
  const result = reports[0]!.result;
  assert.is(result.verdict, 'agrees');
  assert.ok(result.verdict === 'agrees' && result.digits >= 60, JSON.stringify(result));
});

const wrong = suite('wrong claims');

/** What is wrong, the part of the spec, and what stands there instead. */
const mistakes: readonly (readonly [string, string, string])[] = [
  ['a missing 1/M', 'grad - sum(grad, n, s) / count(n, s) - c', 'grad - sum(grad, n, s) - c'],
  [
    'unbiased for biased',
    'invstd ^ 2 * sum(grad * c, n, s) / count(n, s))',
    'invstd ^ 2 * sum(grad * c, n, s) / (count(n, s) - 1))',
  ],
  [
    'a dropped mean term',
    'x: "training ? weight * invstd * (grad - sum(grad, n, s) / count(n, s) - c',
    'x: "training ? weight * invstd * (grad - c',
  ],
  ['a dropped centred term', ' - c * invstd ^ 2 * sum(grad * c, n, s) / count(n, s)) : weight', ') : weight'],
  [
    'a wrong power of invstd',
    'weight: invstd * sum(grad * c, n, s)',
    'weight: invstd ^ 2 * sum(grad * c, n, s)',
  ],
  ['a wrong sign', '(grad - sum(grad, n, s) / count(n, s) - c', '(grad - sum(grad, n, s) / count(n, s) + c'],
  [
    'training in frozen mode',
    ' : weight * invstd * grad"',
    ' : weight * invstd * (grad - mean(grad, n, s))"',
  ],
  [
    'frozen in training mode',
    'x: "training ? weight * invstd * (grad - sum(grad, n, s) / count(n, s) - c * invstd ^ 2 * sum(grad * c, n, s) / count(n, s)) :',
    'x: "training ? weight * invstd * grad :',
  ],
  ['weight left out', 'x: "training ? weight * invstd', 'x: "training ? invstd'],
  ['the bias summed over too little', 'bias: sum(grad, n, s)', 'bias: sum(mean(grad, s), n)'],
  ['swapped cotangents', '+ v_weight * c * invstd + v_bias"', '+ v_bias * c * invstd + v_weight"'],
  [
    'double backward without the cotangent of the bias',
    '+ v_weight * c * invstd + v_bias"',
    '+ v_weight * c * invstd"',
  ],
  ['a factor of three forgotten', '+ 3 * invstd ^ 2 / count', '+ invstd ^ 2 / count'],
  ['a tangent without its mean', '((x_t - mean(x_t, n, s)) * invstd - c', '(x_t * invstd - c'],
  [
    'the tangent of invstd dropped',
    ' - c * invstd ^ 3 * mean((x_t - mean(x_t, n, s)) * c, n, s)) * weight',
    ') * weight',
  ],
];

wrong('a term that is zero at the smallest sizes', () => {
  const [report] = claimsOf(`
- name: op(Tensor x[n]) -> Tensor y[]
  forward:
    y: sum(x ^ 2, n)
  gradients:
    x: grad * 2 * x + (count(n) - 2) * (count(n) - 3) * x
`);
  assert.is(report?.result.verdict, 'refuted');
});

for (const [what, good, bad] of mistakes) {
  wrong(what, () => {
    assert.is(text.split(good).length, 2, 'the mistake has exactly one place');
    const refuted = claimsOf(text.replace(good, bad)).filter(({ result }) => result.verdict === 'refuted');
    assert.ok(refuted.length > 0);
    for (const { result } of refuted) {
      if (result.verdict !== 'refuted') continue;
      assert.is.not(result.difference.left, result.difference.right);
    }
  });
}

right.run();
wrong.run();
