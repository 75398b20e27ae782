/** Resets that come from above a function, as the program that plays it sees them. */
import { expect } from 'vitest';
import type { FunctionHandle } from '../../client/src/index.ts';
import { eventually, refusal, scenario, type ScenarioMachine } from '../kit/scenario.ts';

const PORT = '00:01.0';
const BDF = '01:00.0';
const CXL_PORT = { dvsec: { vendor: '0x1e98', id: 3, revision: 0, bytes: Array(30).fill('00').join(' ') } };

function below(capabilities: object): { readonly topology: object } {
  const child = { address: '00.0', model: 'remote', capabilities: { ats: {}, pm: { noSoftReset: false } } };
  const port = { address: PORT, model: 'root-port', capabilities, children: [child] };
  return { topology: { schema: 'iommud.topology/v1', functions: [port] } };
}

/** A register that a reset clears, and what resets it was told of. */
async function raise(m: ScenarioMachine): Promise<{ readonly dev: FunctionHandle; readonly resets: string[] }> {
  const resets: string[] = [];
  let register = 0n;
  const link = await m.connect(['device']);
  const claimed = await link.claimDevice(BDF, {
    onRegionRead: () => register,
    onRegionWrite: ({ value }) => {
      register = value;
    },
    onReset: (method) => {
      resets.push(claimed.lostPower ? `${method}, without power` : method);
      register = 0n;
    },
  });
  const dev = m.function(BDF);
  await dev.bar(0).write(0, 4, 7);
  return { dev, resets };
}

scenario('below a CXL port cxl_bus resets it by the bus, once; bus, which the port masks, does not', below(CXL_PORT), async (m) => {
  const { dev, resets } = await raise(m);
  expect(await refusal(dev.reset({ method: 'bus', deadlineMs: 10 }))).toBe('ENOTTY');
  expect(resets).toEqual([]);
  expect(await dev.bar(0).read(0, 4)).toBe(7);
  expect(await dev.reset({ method: 'cxl_bus', deadlineMs: 10 })).toMatchObject({ method: 'cxl_bus' });
  expect(resets).toEqual(['bus']);
  expect(await dev.bar(0).read(0, 4)).toBe(0);
  expect(await dev.info()).toMatchObject({ blocked: false, absent: false });
});

scenario('a link that goes down resets it, and it is there again when the link is', below({}), async (m) => {
  const { dev, resets } = await raise(m);
  const armed = await dev.faults.arm('surprise-down', { count: 0 });
  await eventually(() => expect(resets).toEqual(['bus']));
  expect(await dev.config.read(0, 4)).toBe(0xffff_ffff);
  expect(await dev.bar(0).read(0, 4)).toBe(0xffff_ffff);
  // What is asked of it over such a link does not reach it.
  await refusal(dev.reset({ method: 'flr', deadlineMs: 10 }));
  expect(resets).toEqual(['bus']);
  await m.armed.disarm(armed);
  expect(await dev.config.read(0, 2)).toBe(0x1234);
  await dev.config.write(4, 2, 6);
  expect(await dev.reset({ method: 'flr', deadlineMs: 10 })).toMatchObject({ method: 'flr' });
  expect(resets).toEqual(['bus', 'flr']);
});

scenario('a port that contains an error, and recovery, reset it by the bus', below({ aer: {}, dpc: {} }), async (m) => {
  const { dev, resets } = await raise(m);
  await m.enableErrorReporting();
  await m.mapped(dev, 0x10000);
  expect(await dev.recovery.recover({ frozen: true })).toMatchObject({ recovered: true });
  expect(resets).toEqual(['bus']);
  expect(await dev.bar(0).read(0, 4)).toBe(0);
});

scenario('its power goes off and on, and its slot is reset', below({ slot: { number: 1, powerController: true } }), async (m) => {
  const { dev, resets } = await raise(m);
  await m.function(PORT).coldReset();
  await eventually(() => expect(resets).toEqual(['bus, without power']));
  expect(await dev.config.read(0, 2)).toBe(0x1234);
  await m.function(PORT).resetBus({ slot: true });
  expect(resets).toEqual(['bus, without power', 'bus']);
});
