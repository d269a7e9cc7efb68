/** Numbers of f32, by their bits. */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

export function ofBits(value: number): number {
  bits[0] = value;
  return float[0]!;
}

/** The number of f32 next to a value, and so many before and after it. */
export function around(value: number, neighbours: number): number[] {
  float[0] = value;
  const [at] = bits;
  return Array.from({ length: 2 * neighbours + 1 }, (_, k) => ofBits(at! + k - neighbours));
}
