/** Many rows, of which WebAssembly visits some and sums them down columns while they are in cache: every rest of those. */
import { runSuites, type Shape } from './columns.ts';

runSuites('beside', [
  ...[511, 512, 575, 577, 1000].map((rows): Shape => [rows, 130]),
  ...[512, 621].map((rows): Shape => [rows, 516]),
  [600, 127],
  [530, 1029],
  [513, 2051],
]);
