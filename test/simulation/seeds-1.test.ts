// A whole cluster in one thread, seed by seed: the first half.
import { testSeeds } from './seeds.ts';

testSeeds(0);
