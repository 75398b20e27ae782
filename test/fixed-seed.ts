/** Property tests draw the same cases in every run. `IOMMUD_SEED=random` draws others; a failure prints the seed that repeats it. */
import fc from 'fast-check';

const SEED = 20_260_101;

const wanted = process.env['IOMMUD_SEED'];
if (wanted !== 'random') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: wanted === undefined ? SEED : Number(wanted) });
