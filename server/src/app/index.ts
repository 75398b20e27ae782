/** The door of the service. */
export { buildApp, type AppOptions } from './build-app.ts';
export { ListenError, startServer, type RunningServer, type StartOptions } from './start-server.ts';
export { runServer, type RunOptions } from './run-server.ts';
export {
  DEFAULT_SETTINGS,
  SettingsError,
  isLoopback,
  parseListen,
  readSettings,
  type Settings,
  type SettingsFlags,
  type SettingsSource,
} from './settings.ts';
export { openRecording, playRecording, type PlayOptions, type Played } from './recording.ts';
export { recordingTimeline } from './recording-timeline.ts';
export { RecordingPcapng } from './recording-pcapng.ts';
export { lspciText, type DumpedFunction } from './lspci-text.ts';
export { sysfsTree, type ShownFunction, type ShownGroup, type SysfsEntry } from './sysfs-tree.ts';
