/**
 * The live link of this page, wired to the cache and to whoever listens.
 */
import { createStore } from '../lib/store';
import { learnBoxTime } from '../lib/time';
import { type After, steadyTimer } from '../lib/timer';
import { queryClient } from './client';
import { LiveLink, type LinkState } from './live';
import { readAgain } from './refresh';
import { staleKeys } from './staleKeys';
import type { LiveEvent } from './types';

/** Whether the box is in reach, as the banner and the publishers see it. */
export const linkState = createStore<LinkState>('off');

/** Longer than any answer on a LAN; a box whose power was cut answers nothing at all. */
const PROBE_TIMEOUT_MS = 1500;

const listeners = new Set<(event: LiveEvent) => void>();
let link: LiveLink | null = null;
let timer: After | null = null;

/** Timers that a hidden page keeps; one worker serves them all. */
export const after: After = (ms, then) => {
  timer ??= steadyTimer();
  return timer(ms, then);
};

/** Hears every event until the returned function is called. */
export function onLiveEvent(listener: (event: LiveEvent) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Opens the link; closing it is the returned function. */
export function startLive(): () => void {
  link ??= new LiveLink(
    {
      openSocket: () => new WebSocket(`${scheme()}://${location.host}/api/v1/live`),
      probe: () =>
        fetch('/api/v1/state', {
          cache: 'no-store',
          signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
        }),
      after,
    },
    {
      onState: linkState.set,
      onEvent: hear,
      onSessionOver: () => void readAgain(queryClient),
    },
  );
  link.start();
  return () => link?.stop();
}

/** Plain http is only ever a developer's own machine. */
function scheme(): string {
  return location.protocol === 'https:' ? 'wss' : 'ws';
}

function hear(event: LiveEvent): void {
  if (event.type === 'hello') learnBoxTime(event.now);
  const stale = staleKeys(event);
  if (stale === 'everything') void readAgain(queryClient);
  else stale.forEach((queryKey) => void readAgain(queryClient, queryKey));
  listeners.forEach((listener) => listener(event));
}
