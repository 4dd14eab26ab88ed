/** fast-check with a fixed seed, so that a failure comes again. */
import fc from 'fast-check';

fc.configureGlobal({ seed: 20261, numRuns: 300 });
export { fc };
