import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { After } from '../../../lib/timer';
import { type Call, type Phase, Publisher } from './publisher';

const after: After = (ms, then) => {
  const timer = setTimeout(then, ms);
  return () => clearTimeout(timer);
};

class FakeCall implements Call {
  isClosed = false;
  lose: () => void = () => {};

  onLost(listener: () => void) {
    this.lose = listener;
  }

  close() {
    this.isClosed = true;
  }
}

const FINAL = new Error('another teacher is on air');
const AWAY = new Error('the box is away');

/** A box that may be taken away and brought back. */
function scene() {
  const dialledAt: number[] = [];
  const calls: FakeCall[] = [];
  const box = { isHere: true, refuses: false, dialledAt, calls };
  const phases: Phase[] = [];
  const publisher = new Publisher<FakeCall>({
    dial: () => {
      box.dialledAt.push(Date.now());
      if (box.refuses) return Promise.reject(FINAL);
      if (!box.isHere) return Promise.reject(AWAY);
      const call = new FakeCall();
      box.calls.push(call);
      return Promise.resolve(call);
    },
    isFinal: (error) => error === FINAL,
    after,
    onPhase: (phase) => phases.push(phase),
  });
  return { box, phases, publisher };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe('Publisher', () => {
  beforeEach(() => vi.useFakeTimers({ now: 0 }));
  afterEach(() => vi.useRealTimers());

  it('goes on air', async () => {
    const { publisher, phases } = scene();
    publisher.start();
    await settle();
    expect(phases).toEqual(['connecting', 'on_air']);
  });

  it('tries again at 0.5 s, then more slowly, at most every 3 s', async () => {
    const { publisher, box } = scene();
    box.isHere = false;
    publisher.start();
    await vi.advanceTimersByTimeAsync(20_000);
    const waits = box.dialledAt.slice(1).map((at, index) => at - (box.dialledAt[index] ?? 0));
    expect(waits[0]).toBe(500);
    expect(waits.slice(0, 5)).toEqual([500, 750, 1125, 1687, 2531]);
    expect(Math.max(...waits)).toBe(3000);
  });

  it('publishes again at once when a call is lost', async () => {
    const { publisher, phases, box } = scene();
    publisher.start();
    await settle();
    box.calls[0]?.lose();
    await settle();
    expect(phases).toEqual(['connecting', 'on_air', 'connecting', 'on_air']);
    expect(box.calls[0]?.isClosed).toBe(true);
  });

  it('does not wait out its back-off when the box is heard again', async () => {
    const { publisher, box } = scene();
    box.isHere = false;
    publisher.start();
    await vi.advanceTimersByTimeAsync(10_000);
    box.isHere = true;
    publisher.nudge();
    await settle();
    expect(publisher.phase).toBe('on_air');
  });

  it('publishes again when the box has forgotten what still looks alive', async () => {
    const { publisher, box } = scene();
    publisher.start();
    await settle();
    publisher.renew();
    await settle();
    expect(box.calls).toHaveLength(2);
    expect(box.calls[0]?.isClosed).toBe(true);
    expect(publisher.phase).toBe('on_air');
  });

  it('does not go on air with what is out of date before it is there', async () => {
    const { publisher, box } = scene();
    publisher.start();
    publisher.renew();
    await settle();
    expect(box.calls.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    expect(publisher.phase).toBe('on_air');
  });

  it('gives up only where trying again cannot help', async () => {
    const { publisher, box, phases } = scene();
    box.refuses = true;
    publisher.start();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(phases).toEqual(['connecting', 'refused']);
    publisher.nudge();
    expect(publisher.phase).toBe('refused');
    box.refuses = false;
    publisher.start();
    await settle();
    expect(publisher.phase).toBe('on_air');
  });

  it('closes a call that arrives after it was stopped', async () => {
    const { publisher, box, phases } = scene();
    publisher.start();
    publisher.stop();
    await settle();
    expect(box.calls[0]?.isClosed).toBe(true);
    expect(phases.at(-1)).toBe('stopped');
  });

  it('is silent after it was stopped while waiting', async () => {
    const { publisher, box } = scene();
    box.isHere = false;
    publisher.start();
    await settle();
    publisher.stop();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(box.dialledAt).toHaveLength(1);
  });
});
