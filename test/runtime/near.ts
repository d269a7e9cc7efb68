/** Assertions on numbers and errors. */
import * as assert from 'uvu/assert';
import { type ErrorCode, NormgradError, type Tensor } from '../../runtime/index.ts';

/** That a tensor has this shape and, within f32 rounding, these elements. */
export async function near(tensor: Tensor, shape: readonly number[], data: readonly number[]): Promise<void> {
  assert.equal(tensor.shape, shape);
  const actual = [...(await tensor.read())];
  assert.is(actual.length, data.length);
  actual.forEach((value, i) => {
    const expected = data[i]!;
    assert.ok(
      Math.abs(value - expected) <= 1e-5 * (1 + Math.abs(expected)),
      `[${i}] ${value} is not ${expected}`,
    );
  });
}

/** That a promise is rejected with this code and a message with this text. */
export async function rejects(promise: Promise<unknown>, code: ErrorCode, text: string): Promise<void> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, NormgradError);
    const { code: actual, message } = error as NormgradError;
    assert.is(actual, code, `${actual}: ${message}`);
    assert.ok(message.includes(text), `'${message}' does not have '${text}'`);
    return;
  }
  assert.unreachable(`did not fail with: ${text}`);
}
