/** The door of the client. */
export type { Atomic } from './atomic.ts';
export { connect, connectOver, type ConnectOptions, type HelloOptions } from './connect.ts';
export { Connection } from './connection.ts';
export { Machine, type MachineLink } from './machine.ts';
export { FunctionHandle } from './function-handle.ts';
export type { CallOptions } from './ask.ts';
export { configAddress, type Bus, type BusConfig, type BusOptions } from './bus.ts';
export type { CallName, Calls, EventName, Events, U64 } from '../../proto/index.ts';
export { checkDevice, type CheckDeviceOptions, type DeviceCheck } from './check-device.ts';
export type { Answer, Channel, ChannelListener, Closed, Granted, PeerAnswer, PeerCall } from './channel.ts';
export type { CallHolds, HeldCall, Hold, HoldOptions } from './call-holds.ts';
export type { Clock, ClockPace } from './clock.ts';
export type {
  DirectRegion,
  DomainSummary,
  FunctionInfo,
  FunctionSummary,
  GroupInfo,
  LedgerEntry,
  MachineInfo,
  PasidSummary,
  RegionInfo,
  ReservedRegion,
} from './descriptions.ts';
export type { Slot, SlotInfo } from './slot.ts';
export type { Sriov, SriovInfo } from './sriov.ts';
export type { HotplugChange, PlugOptions, PlugReport, UnplugOptions, UnplugReport } from './hotplug.ts';
export type { DeviceAts, DeviceTranslation, Invalidation, InvalidationAnswer, TranslateOptions } from './device-ats.ts';
export type { ClaimOptions, ClaimedFunction, DeviceHandlers, RegionAccess } from './device-role.ts';
export type { DeviceDma, DmaOptions, DmaReadOptions } from './device-dma.ts';
export {
  defineFunction,
  type BarAccess,
  type BarDefinition,
  type DefinedFunction,
  type DeviceConnection,
  type FunctionDefinition,
  type PlayOptions,
  type PlayedFunction,
  type RunningFunction,
} from './define-function.ts';
export type { DmaResult, Grant } from './dma-result.ts';
export type { Domain, Domains, InvalidateReport, InvalidateRequest, NewDomain } from './domains.ts';
export { IommudError, type ErrorCode, type Failure } from './errors.ts';
export type { EventQueue } from './event-queue.ts';
export type {
  BusErrorReport,
  DriverCall,
  EventStreams,
  FaultRecord,
  Interrupt,
  IntxChange,
  IntxPin,
  LogLine,
  TraceRecord,
  WindowChange,
} from './event-streams.ts';
export type { ArmMemoryOptions, ArmOptions, ArmedFault, ArmedFaults, FaultInjection, MemoryFaultKind } from './fault-injection.ts';
export type { DirtyRange, DirtyReport, Mappings, MapReport, MapRequest, UnmapReport } from './mappings.ts';
export type { AreaRequest, Ioas, Ioases, IovaRanges } from './ioas.ts';
export type { Irq, RemapEntry } from './interrupts.ts';
export type { FoundRange, IovaRange } from './iova-range.ts';
export type { Allocation, Memory, WrittenRange } from './memory.ts';
export type { MemoryChange } from './memory-change.ts';
export type { AccessContext, MemoryHandlers, MemoryOwner, MemoryRange, OwnWrite } from './memory-owner.ts';
export type { Model, ModelOptions } from './model.ts';
export type {
  Access,
  DmaOperation,
  DefaultDomainType,
  DomainType,
  BusError,
  BusSpace,
  ErrorCallback,
  ErrorMessage,
  EventClass,
  FaultKind,
  HoldPoint,
  AtcOwner,
  InterruptOutcome,
  InvalidateType,
  IrqIndex,
  LogLevel,
  MemoryError,
  OnDeadline,
  OnFault,
  Outcome,
  PageAnswer,
  RequestPoint,
  DriverCallback,
  RecoveryReset,
  ResetMethod,
  Role,
  Vote,
} from './names.ts';
export type { PageFault, PageRange, PageRequestOptions, PageRequestResult } from './page-faults.ts';
export type { PasidHandle } from './pasid.ts';
export type { Recovery, RecoveryReport } from './recovery.ts';
export type { Region } from './region.ts';
export type { BusResetOptions, BusResetReport, ResetAttempt, ResetMethods } from './reset.ts';
export type { DoneReport, IndeterminateRange, PrepareOptions, ResetOptions, ResetReport, ResetWindow, WindowReport } from './reset.ts';
export { NotConnected, type OpenOptions, type OpenSocket, type Socket, type SocketListener } from './socket.ts';
export type { Waited } from './waited.ts';
