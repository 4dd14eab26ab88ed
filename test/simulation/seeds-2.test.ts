// A whole cluster in one thread, seed by seed: the second half.
import { testSeeds } from './seeds.ts';

testSeeds(1);
