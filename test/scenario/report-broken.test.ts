import { expect } from 'vitest';
import { refusal, scenario } from '../kit/scenario.ts';

const IOVA = 0x1_0000;

scenario('a function that is reported broken is blocked until a reset of it succeeds', {}, async (m) => {
  const dev = m.function('00:02.0');
  const page = await m.mapped(dev, IOVA);
  for (let twice = 0; twice < 2; twice++) await dev.reportBroken();
  expect(await dev.info()).toMatchObject({ blocked: true, resetDepth: 0 });
  expect(await dev.model.write(IOVA, 'no')).toMatchObject({ outcome: 'gate-closed' });
  await dev.reset({ method: 'flr', deadlineMs: 10 });
  expect(await dev.model.write(IOVA, 'yes')).toMatchObject({ outcome: 'performed' });
  expect(await m.text(page, 3)).toBe('yes');
});

scenario('nobody is reported broken where the machine shows Linux', { behaviour: 'linux-7.1' }, async (m) => {
  expect(await refusal(m.function('00:02.0').reportBroken())).toBe('EOPNOTSUPP');
});
