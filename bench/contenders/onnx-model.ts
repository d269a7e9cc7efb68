/** Writes ONNX models of one node, in protobuf's encoding, by hand: a library for that would be larger than the need. */

const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(Math.floor(n / 128))]);
const bytes = (field: number, content: readonly number[]): number[] => [
  ...varint(field * 8 + 2),
  ...varint(content.length),
  ...content,
];
const int = (field: number, value: number): number[] => [...varint(field * 8), ...varint(value)];
const float = (field: number, value: number): number[] => [
  ...varint(field * 8 + 5),
  ...new Uint8Array(Float32Array.of(value).buffer),
];
const text = (field: number, value: string): number[] => bytes(field, [...new TextEncoder().encode(value)]);

export interface OneNode {
  readonly op: string;
  readonly opset: number;
  /** Shapes by name, in the node's order. */
  readonly inputs: { readonly [name: string]: readonly number[] };
  readonly outputs: readonly string[];
  readonly floats?: { readonly [name: string]: number };
  readonly ints?: { readonly [name: string]: number };
}

/** ValueInfoProto of a float32 tensor. */
function value(field: number, name: string, shape?: readonly number[]): number[] {
  const dimensions = shape
    ? bytes(
        2,
        shape.flatMap((size) => bytes(1, int(1, size))),
      )
    : [];
  const tensor = bytes(1, [...int(1, 1), ...dimensions]);
  return bytes(field, [...text(1, name), ...bytes(2, tensor)]);
}

/** ModelProto. */
export function encodeModel({ op, opset, inputs, outputs, floats = {}, ints = {} }: OneNode): Uint8Array {
  const attributes = [
    ...Object.entries(floats).map(([name, v]) => bytes(5, [...text(1, name), ...float(2, v), ...int(20, 1)])),
    ...Object.entries(ints).map(([name, v]) => bytes(5, [...text(1, name), ...int(3, v), ...int(20, 2)])),
  ];
  const node = [
    ...Object.keys(inputs).flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(4, op),
    ...attributes.flat(),
  ];
  const graph = [
    ...bytes(1, node),
    ...text(2, op),
    ...Object.entries(inputs).flatMap(([name, shape]) => value(11, name, shape)),
    ...outputs.flatMap((name) => value(12, name)),
  ];
  const irVersion = 8;
  return Uint8Array.from([...int(1, irVersion), ...bytes(7, graph), ...bytes(8, int(2, opset))]);
}
