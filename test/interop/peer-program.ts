/** One who takes part in a machine, as a program of its own that can be killed: `peer-program.ts URL emulator|owner|host`. Says `ready`, and does its deed when it gets a message. */
import { connect, type Role } from '../../client/src/index.ts';

const [url = '', part = ''] = process.argv.slice(2);
const BDF = '00:04.0';
const ROLES: Readonly<Record<string, Role>> = { emulator: 'device', owner: 'memory', host: 'host' };

const connection = await connect(url, { roles: [ROLES[part] ?? 'observer'] });
if (part === 'emulator') {
  const fn = await connection.claimDevice(BDF);
  process.on('message', () => void fn.dma.write(0x10000, Uint8Array.of(1)).catch(() => undefined));
} else if (part === 'owner') {
  // It takes writes, and is as slow as can be with what it says of them.
  await connection.serveMemory(
    { address: 0x8000_0000n, bytes: 4096 },
    { read: (_address, bytes) => new Uint8Array(bytes), write: () => new Promise(() => undefined) },
  );
} else {
  process.on('message', () => {
    connection.machine
      .function(BDF)
      .resetPrepare({ deadlineMs: 0, onDeadline: 'abort' })
      .catch(() => undefined);
  });
}
process.send?.('ready');
