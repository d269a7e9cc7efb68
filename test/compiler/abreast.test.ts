/** Long rows, of which WebAssembly walks four abreast that are far apart: every rest, of rows, chunks, tiles and pieces. */
import { runSuites, type Shape } from './columns.ts';

runSuites('abreast', [
  ...[1, 2, 3, 4, 5, 31, 61, 62, 63, 64, 124, 125, 127, 131, 250].map((rows): Shape => [rows, 132]),
  ...[5, 130].map((rows): Shape => [rows, 129]),
  ...[3, 4, 9].map((rows): Shape => [rows, 1027]),
  [6, 2050],
  [1040, 140],
]);
