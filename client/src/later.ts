/**
 * Runs a function when everything that is ready in this tick has run: what a program asks for in one tick, in promises that settle in turn too,
 * is gathered by then. Node has this as `setImmediate`; a browser's shortest way round its event loop is a message to oneself.
 */
export const later: (run: () => void) => void = typeof setImmediate === 'function' ? setImmediate : laterByMessage();

function laterByMessage(): (run: () => void) => void {
  const waiting: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => waiting.shift()?.();
  return (run) => {
    waiting.push(run);
    port2.postMessage(0);
  };
}
