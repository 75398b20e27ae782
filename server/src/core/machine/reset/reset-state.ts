/** What is done with the functions of a reset before and after its methods: pci_dev_save_and_disable() and pci_dev_restore(). */
import { formatBdf } from '../../base/index.ts';
import { losesContextInD3, setPowerState } from '../../pci/index.ts';
import { restorePageRequests } from '../ats/page-faults.ts';
import { captureBus } from '../bus/captured-bus.ts';
import { answersConfig } from '../dma/gate.ts';
import { interruptsChanged } from '../interrupts/interrupts.ts';
import type { DriverCallback } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, ResetTask } from '../state.ts';
import { resetHardware } from './hardware-reset.ts';

/** Only Interrupt Disable: no bus mastering, no decoding. */
const COMMAND_QUIET = 0x0400;
const COMMAND = 4;
const FIRST_BAR = 0x10;

/** The functions' drivers are told; a bridge's has nothing to do. */
export function announce(m: Parts, task: ResetTask, callback: DriverCallback): 'next' {
  for (const { bdf, config } of task.functions) {
    if (!config.isBridge) m.outbox.event({ kind: 'driver-callback', bdf, callback, timeNs: m.clock.nowNs });
  }
  return 'next';
}

/** Brings functions that are in D3hot to D0; true: one was. Of one that forgets its context then, the base addresses are written back (pci_restore_bars). */
export function wakeAll(m: Parts, task: ResetTask): boolean {
  let woken = false;
  for (const fn of task.functions) {
    const { config } = fn;
    if (!answersConfig(fn)) {
      m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)}: unable to change power state to D0, device inaccessible`);
      continue;
    }
    if (config.powerState === 0) continue;
    woken = true;
    const bars = config.isBridge ? 2 : 6;
    const addresses = Array.from({ length: bars }, (_, i) => config.read(FIRST_BAR + 4 * i, 4));
    const loses = losesContextInD3(config);
    setPowerState(config, 0);
    if (!loses) continue;
    resetHardware(m, fn, 'pm');
    for (const [i, address] of addresses.entries()) config.write(FIRST_BAR + 4 * i, 4, address);
  }
  return woken;
}

/** What reads as all ones is not saved: an older save stays. From here to the restore no function is a bus master (invariant 33). */
export function saveAll(m: Parts, task: ResetTask): 'next' {
  for (const fn of task.functions) {
    if (!answersConfig(fn)) continue;
    fn.saved = fn.config.save();
    fn.interrupts.savedTable = fn.interrupts.vectors?.save();
    fn.config.setCommand(COMMAND_QUIET);
    m.trace.emit('config-write', fn.bdf, COMMAND, COMMAND_QUIET, 2);
    interruptsChanged(m, fn);
  }
  return 'next';
}

/** Also after a failure; bridges before what is below them. What does not answer is not restored. */
export function restoreAll(m: Parts, task: ResetTask): 'next' {
  for (const fn of task.functions) restore(m, fn);
  return 'next';
}

function restore(m: Parts, fn: FunctionState): void {
  const { config, device } = fn;
  if (!answersConfig(fn)) return;
  const atsEnabled = device?.atsEnabled ?? config.atsEnabled;
  config.restore(fn.saved ?? fn.spec.config);
  captureBus(m, fn);
  m.changedPorts.add(fn);
  if (config.atsSupported) config.setAtsEnable(atsEnabled);
  restorePageRequests(m, fn);
  // __pci_restore_msix_state() writes the table anew.
  fn.interrupts.vectors?.restore(fn.interrupts.savedTable);
  interruptsChanged(m, fn);
}
