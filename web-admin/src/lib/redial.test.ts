import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { After } from './timer';
import { type Call, type Phase, Redial } from './redial';

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
  const redial = new Redial<FakeCall>({
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
  return { box, phases, redial };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe('Redial', () => {
  beforeEach(() => vi.useFakeTimers({ now: 0 }));
  afterEach(() => vi.useRealTimers());

  it('goes on air', async () => {
    const { redial, phases } = scene();
    redial.start();
    await settle();
    expect(phases).toEqual(['connecting', 'up']);
  });

  it('tries again at 0.5 s, then more slowly, at most every 3 s', async () => {
    const { redial, box } = scene();
    box.isHere = false;
    redial.start();
    await vi.advanceTimersByTimeAsync(20_000);
    const waits = box.dialledAt.slice(1).map((at, index) => at - (box.dialledAt[index] ?? 0));
    expect(waits[0]).toBe(500);
    expect(waits.slice(0, 5)).toEqual([500, 750, 1125, 1687, 2531]);
    expect(Math.max(...waits)).toBe(3000);
  });

  it('publishes again at once when a call is lost', async () => {
    const { redial, phases, box } = scene();
    redial.start();
    await settle();
    box.calls[0]?.lose();
    await settle();
    expect(phases).toEqual(['connecting', 'up', 'connecting', 'up']);
    expect(box.calls[0]?.isClosed).toBe(true);
  });

  it('does not wait out its back-off when the box is heard again', async () => {
    const { redial, box } = scene();
    box.isHere = false;
    redial.start();
    await vi.advanceTimersByTimeAsync(10_000);
    box.isHere = true;
    redial.nudge();
    await settle();
    expect(redial.phase).toBe('up');
  });

  it('publishes again when the box has forgotten what still looks alive', async () => {
    const { redial, box } = scene();
    redial.start();
    await settle();
    redial.renew();
    await settle();
    expect(box.calls).toHaveLength(2);
    expect(box.calls[0]?.isClosed).toBe(true);
    expect(redial.phase).toBe('up');
  });

  it('does not go on air with what is out of date before it is there', async () => {
    const { redial, box } = scene();
    redial.start();
    redial.renew();
    await settle();
    expect(box.calls.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    expect(redial.phase).toBe('up');
  });

  it('gives up only where trying again cannot help', async () => {
    const { redial, box, phases } = scene();
    box.refuses = true;
    redial.start();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(phases).toEqual(['connecting', 'refused']);
    redial.nudge();
    expect(redial.phase).toBe('refused');
    box.refuses = false;
    redial.start();
    await settle();
    expect(redial.phase).toBe('up');
  });

  it('closes a call that arrives after it was stopped', async () => {
    const { redial, box, phases } = scene();
    redial.start();
    redial.stop();
    await settle();
    expect(box.calls[0]?.isClosed).toBe(true);
    expect(phases.at(-1)).toBe('stopped');
  });

  it('is silent after it was stopped while waiting', async () => {
    const { redial, box } = scene();
    box.isHere = false;
    redial.start();
    await settle();
    redial.stop();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(box.dialledAt).toHaveLength(1);
  });
});
