export { announce, startChildServer, type ChildServer } from './child-server.ts';
export { exchange, exchangeCalls, p50, rate, throughput, type Link, type Load, type Outcome } from './load.ts';
export type { Measure, Report, Row, Unit } from './measure.ts';
export { makeReport, readable, tableHead, tableLine, writeReport } from './report.ts';
export { runBench, type BenchOptions } from './run.ts';
export { startSpinners } from './spinners.ts';
export { median, quantile, summarize, type Summary } from './statistics.ts';
