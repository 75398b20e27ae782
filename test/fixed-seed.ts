/** Property tests draw the same cases in every run. `IOMMUD_SEED=random` draws others; a failure prints the seed that repeats it. */
import fc from 'fast-check';

const SEED = 20_260_101;

const wanted = process.env['IOMMUD_SEED'];
// fast-check draws short arrays, however long one is allowed to be, where it is not told otherwise.
fc.configureGlobal({ ...fc.readConfigureGlobal(), defaultSizeToMaxWhenMaxSpecified: true });
if (wanted !== 'random') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: wanted === undefined ? SEED : Number(wanted) });
