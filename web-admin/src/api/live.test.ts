import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { After } from '../lib/timer';
import { ASK_EVERY_MS, LiveLink, type LinkState, type LiveSocket } from './live';
import type { LiveEvent } from './types';

const after: After = (ms, then) => {
  const timer = setTimeout(then, ms);
  return () => clearTimeout(timer);
};

class FakeSocket implements LiveSocket {
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((close: CloseEvent) => void) | null = null;
  isClosed = false;

  say(event: unknown) {
    this.onmessage?.(
      new MessageEvent('message', {
        data: typeof event === 'string' ? event : JSON.stringify(event),
      }),
    );
  }

  close() {
    this.isClosed = true;
  }
}

function scene() {
  const sockets: FakeSocket[] = [];
  const states: LinkState[] = [];
  const events: LiveEvent['type'][] = [];
  const box = { isHere: true, asked: 0, ended: 0 };
  const link = new LiveLink(
    {
      openSocket: () => {
        const socket = new FakeSocket();
        sockets.push(socket);
        return socket;
      },
      probe: () => {
        box.asked += 1;
        return box.isHere ? Promise.resolve() : Promise.reject(new Error('away'));
      },
      after,
    },
    {
      onState: (state) => states.push(state),
      onEvent: (event) => events.push(event.type),
      onSessionOver: () => (box.ended += 1),
    },
  );
  return { link, sockets, states, events, box };
}

const HELLO = { type: 'hello', version: '0.1.0', now: 0 };

describe('LiveLink', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('is up when the box says hello, not when the socket opens', () => {
    const { link, sockets, states } = scene();
    link.start();
    expect(states).toEqual(['opening']);
    sockets[0]?.say(HELLO);
    expect(states).toEqual(['opening', 'up']);
  });

  it('says when the box ends it because its session is over, and only then', () => {
    const { link, sockets, box } = scene();
    link.start();
    sockets[0]?.onclose?.(new CloseEvent('close', { code: 1001 }));
    expect(box.ended).toBe(0);
    link.stop();
    link.start();
    sockets[1]?.onclose?.(new CloseEvent('close', { code: 1008 }));
    expect(box.ended).toBe(1);
  });

  it('asks an absent box every half second and opens one socket when it is back', async () => {
    const { link, sockets, states, box } = scene();
    link.start();
    sockets[0]?.say(HELLO);
    box.isHere = false;
    sockets[0]?.onclose?.(new CloseEvent('close'));
    await vi.advanceTimersByTimeAsync(ASK_EVERY_MS * 4);
    expect(box.asked).toBe(4);
    expect(sockets).toHaveLength(1);
    box.isHere = true;
    await vi.advanceTimersByTimeAsync(ASK_EVERY_MS);
    sockets[1]?.say(HELLO);
    expect(states).toEqual(['opening', 'up', 'down', 'opening', 'up']);
  });

  it('takes a bye for the end before the socket closes', () => {
    const { link, sockets, states } = scene();
    link.start();
    sockets[0]?.say(HELLO);
    sockets[0]?.say({ type: 'bye' });
    expect(states.at(-1)).toBe('down');
    expect(sockets[0]?.isClosed).toBe(true);
  });

  it('reads past events that a newer box sends, and past noise', () => {
    const { link, sockets, events } = scene();
    link.start();
    sockets[0]?.say({ type: 'whiteboard_changed' });
    sockets[0]?.say('not json');
    sockets[0]?.say({ type: 'fault_changed' });
    expect(events).toEqual(['fault_changed']);
  });

  it('stays off after stop', async () => {
    const { link, sockets, states, box } = scene();
    link.start();
    sockets[0]?.onclose?.(new CloseEvent('close'));
    link.stop();
    await vi.advanceTimersByTimeAsync(ASK_EVERY_MS * 4);
    expect(box.asked).toBe(0);
    expect(states.at(-1)).toBe('off');
  });
});
