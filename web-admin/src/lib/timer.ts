/**
 * Timers that keep their time while the page is hidden.
 *
 * A teacher who shares a screen looks at something else: the lesson's page is hidden just when it
 * works hardest. Browsers stretch a hidden page's timers to a second and later to a minute, but not
 * those of a worker, so the waiting is done there.
 */

/** Calls `then` once after `ms`, unless the returned function is called first. */
export type After = (ms: number, then: () => void) => () => void;

export function steadyTimer(): After {
  const worker = new Worker(new URL('./timer.worker.ts', import.meta.url), { type: 'module' });
  const waiting = new Map<number, () => void>();
  let lastId = 0;

  worker.onmessage = ({ data }: MessageEvent<number>) => {
    const then = waiting.get(data);
    waiting.delete(data);
    then?.();
  };

  return (ms, then) => {
    lastId += 1;
    const id = lastId;
    waiting.set(id, then);
    worker.postMessage({ id, ms });
    return () => void waiting.delete(id);
  };
}
