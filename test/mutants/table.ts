import type { Defect } from './defect.ts';
import { aliasSiblingDefects } from './defects/alias-siblings.ts';
import { attachDefects } from './defects/attach.ts';
import { blockingDomainDefects } from './defects/blocking-domain.ts';
import { dmaApiDefects } from './defects/dma-api.ts';
import { guaranteeDefects } from './defects/guarantees.ts';
import { invalidationDefects } from './defects/invalidation.ts';
import { isolationDefects } from './defects/isolation.ts';
import { pageFaultDefects } from './defects/page-faults.ts';
import { reportBrokenDefects } from './defects/report-broken.ts';
import { resetSequenceDefects } from './defects/reset-sequence.ts';
import { stepDefects } from './defects/steps.ts';
import { virtualFunctionDefects } from './defects/virtual-functions.ts';
import { windowDefects } from './defects/window.ts';

/** Every seeded defect. Each invariant that has a conformance test has at least one. */
export const DEFECTS: readonly Defect[] = [
  ...windowDefects,
  ...attachDefects,
  ...guaranteeDefects,
  ...resetSequenceDefects,
  ...invalidationDefects,
  ...pageFaultDefects,
  ...reportBrokenDefects,
  ...dmaApiDefects,
  ...stepDefects,
  ...virtualFunctionDefects,
  ...aliasSiblingDefects,
  ...blockingDomainDefects,
  ...isolationDefects,
];
