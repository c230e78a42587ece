import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { announceEncoder, announceSurface, isCovered, surfaceOf } from './privacy';

afterEach(() => {
  announceSurface(null);
  announceEncoder(false);
});

it('takes a surface that the browser does not name for the whole screen', () => {
  expect(surfaceOf('monitor')).toBe('whole_screen');
  expect(surfaceOf(undefined)).toBe('whole_screen');
  expect(surfaceOf('window')).toBe('window');
  expect(surfaceOf('browser')).toBe('tab');
});

it('covers for the whole screen only, and uncovers when it goes', () => {
  announceSurface('tab');
  expect(isCovered.get()).toBe(false);
  announceSurface('whole_screen');
  expect(isCovered.get()).toBe(true);
  announceSurface('window');
  expect(isCovered.get()).toBe(false);
});

it('stays covered until the last reason has gone', () => {
  announceEncoder(true);
  announceSurface('whole_screen');
  announceSurface(null);
  expect(isCovered.get()).toBe(true);
  announceEncoder(false);
  expect(isCovered.get()).toBe(false);
});

/**
 * Locks as a browser keeps them for all its tabs: in the order they were asked for, an exclusive
 * one alone. jsdom has none; the channel between the tabs is real.
 */
class Locks {
  #queue: { mode: string; run: () => Promise<void> }[] = [];
  #held: string[] = [];

  request(name: string, ...rest: unknown[]): Promise<void> {
    const callback = rest.at(-1);
    const [options] = rest;
    const isShared = typeof options === 'object' && options !== null && 'mode' in options;
    return new Promise((resolve) => {
      const run = async () => {
        if (typeof callback === 'function') await callback({ name });
        resolve();
      };
      this.#queue.push({ mode: isShared ? 'shared' : 'exclusive', run });
      this.#grant();
    });
  }

  get waiting() {
    return this.#queue.length;
  }

  query() {
    return Promise.resolve({ held: this.#held.map(() => ({ name: 'alfarid.whole-screen' })) });
  }

  #grant(): void {
    const [next] = this.#queue;
    if (next === undefined) return;
    const isFree = this.#held.length === 0;
    if (!isFree && (next.mode === 'exclusive' || this.#held.includes('exclusive'))) return;
    this.#queue.shift();
    this.#held.push(next.mode);
    void Promise.resolve()
      .then(next.run)
      .finally(() => {
        this.#held.splice(this.#held.indexOf(next.mode), 1);
        this.#grant();
      });
    this.#grant();
  }
}

describe('between the tabs of one browser', () => {
  type Tab = typeof import('./privacy');

  const locks = new Locks();
  let listening = 0;

  /** A page of its own: the module as another tab has it. */
  async function openTab(): Promise<Tab> {
    listening += 1;
    vi.resetModules();
    const tab = await import('./privacy');
    tab.watchOtherTabs();
    return tab;
  }

  // For good: the pages of a test that is over still listen.
  beforeAll(() => {
    Object.defineProperty(navigator, 'locks', { value: locks });
  });

  it('covers them all while one shares the whole screen', async () => {
    const [sharing, other] = [await openTab(), await openTab()];
    sharing.announceSurface('whole_screen');
    await expect.poll(() => other.isCovered.get()).toBe(true);
    sharing.announceSurface(null);
    await expect.poll(() => other.isCovered.get()).toBe(false);
    await expect.poll(() => sharing.isCovered.get()).toBe(false);
  });

  it('covers a tab that is opened later', async () => {
    const sharing = await openTab();
    sharing.announceSurface('whole_screen');
    const late = await openTab();
    await expect.poll(() => late.isCovered.get()).toBe(true);
    sharing.announceSurface(null);
    await expect.poll(() => late.isCovered.get()).toBe(false);
  });

  it('uncovers nobody when one of two that share stops', async () => {
    const [first, second, other] = [await openTab(), await openTab(), await openTab()];
    const wasCovered: boolean[] = [];
    first.announceSurface('whole_screen');
    // It says so twice: when it asks for the lock, and when it has it.
    await expect.poll(() => locks.waiting).toBe(2 * listening);
    other.isCovered.subscribe(() => wasCovered.push(other.isCovered.get()));
    second.announceSurface('whole_screen');
    await expect.poll(() => locks.waiting).toBe(3 * listening + 1);
    first.announceSurface(null);
    // The second one's turn has come, and it says so again.
    await expect.poll(() => locks.waiting).toBe(2 * listening);
    expect(other.isCovered.get()).toBe(true);
    expect(first.isCovered.get()).toBe(true);
    expect(wasCovered).toEqual([]);
    second.announceSurface(null);
    await expect.poll(() => other.isCovered.get()).toBe(false);
    await expect.poll(() => first.isCovered.get()).toBe(false);
  });
});
