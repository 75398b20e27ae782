export type { Domain, DomainType, Group, GroupDevice, IommuEffect } from './group.ts';
export type { FencePolicy } from './fence.ts';
export type { DirectRegion } from './direct-regions.ts';
export { FIXES, FIX_NAMES, type Fix } from './fixes.ts';
export { Iommu, refusalText, tablesOf, type IommuPorts, type ProbedFunction } from './iommu.ts';
export { PageFaults, type PageFaultGroup, type PageFaultReport } from './page-faults.ts';
export { step, type WindowEffect, type WindowInput, type WindowState } from './reset-window.ts';
export type { GroupStep, Plan } from './steps.ts';
