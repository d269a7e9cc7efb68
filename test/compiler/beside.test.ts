/** Many rows, of which WebAssembly visits some and sums them down columns while they are in cache: every rest of those. */
import { alongRows, runSuites, type Shape } from './columns.ts';

runSuites(
  'beside',
  [...[511, 512, 577].map((rows): Shape => [rows, 130]), [621, 516], [600, 127], [530, 1029], [513, 2051]],
  alongRows,
);
