/**
 * Stands for the one-file build of mathjs where the command line is bundled: the parser alone, of the same package, which
 * loads in a tenth of the time. Where nothing is bundled it would load a thousand files.
 */
import { createParse } from 'mathjs';

/** Functions for arguments of several types: here they are texts. */
const typed = Object.assign((_, { string }) => string, { addConversion() {} });

/** As far as `compiler/spec/parser.ts` asks, which sets nodes and `numeric` before it reads `parse`. */
const create = () => ({
  config: {},
  typed,
  get parse() {
    return createParse(this);
  },
});

// biome-ignore lint/style/noDefaultExport: what it stands for has one
export default { create };
