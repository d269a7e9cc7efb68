/** What takes as long as all other unusual entries together, on a processor of its own. */
import { testEntries } from './unusual.ts';

testEntries('reductions.yaml');
