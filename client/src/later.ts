const { process } = globalThis as { readonly process?: { readonly nextTick?: (run: () => void) => void } };
const nextTick = process?.nextTick;

/**
 * Runs a function when every promise that is ready, and what settles with it in turn, has run: what a program asks for meanwhile is gathered by then. Node has
 * ticks for this; a browser's shortest way round its event loop is a message to oneself.
 */
export const later: (run: () => void) => void = nextTick === undefined ? laterByMessage() : laterByTick(nextTick);

/** A tick that is asked for outside of promises would come before them. */
function laterByTick(tick: (run: () => void) => void): (run: () => void) => void {
  return (run) => queueMicrotask(() => tick(run));
}

function laterByMessage(): (run: () => void) => void {
  const waiting: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => waiting.shift()?.();
  return (run) => {
    waiting.push(run);
    port2.postMessage(0);
  };
}
