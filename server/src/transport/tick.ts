/** What is put off until what has arrived in this tick of the event loop has been handled, by all sockets of the process together. */
const waiting: (() => void)[] = [];

/** Runs it at the tick's end, behind what was put off before. */
export function atTickEnd(run: () => void): void {
  if (waiting.push(run) === 1) process.nextTick(endTick);
}

/** The tick ends here: nothing more of it is waited for. */
export function endTick(): void {
  // A chunk that was part of a message.
  if (waiting.length === 0) return;
  let ran = 0;
  try {
    // What runs may put off more.
    for (let run = waiting[ran]; run !== undefined; run = waiting[ran]) {
      ran++;
      run();
    }
  } finally {
    waiting.splice(0, ran);
    // One has thrown: that is no matter of those behind it.
    if (waiting.length > 0) process.nextTick(endTick);
  }
}
