/**
 * One time for all tracks of a recording.
 *
 * The first element that plays leads, the others follow: a small lag is made up by a slightly other
 * speed, which nobody hears, a large one by a jump. Where nothing of any track is recorded the
 * clock goes on to where something is. It waits while a track that should sound or show is not
 * loaded yet.
 */
import { createStore } from '../../lib/store';
import type { TrackFeeder } from './feeder';
import { nextStart, pieceAt } from './timeline';

export interface Playback {
  positionMs: number;
  isPlaying: boolean;
  /** Something is being loaded. */
  isWaiting: boolean;
  /** A picture was on air at this moment. */
  hasPicture: boolean;
  /** The browser could not play one of the tracks. */
  isBroken: boolean;
  speed: number;
}

const TICK_MS = 100;
const JUMP_MS = 300;
const NUDGE_MS = 40;
const NUDGE = 0.04;

export class PlayerClock {
  readonly playback = createStore<Playback>({
    positionMs: 0,
    isPlaying: false,
    isWaiting: false,
    hasPicture: true,
    isBroken: false,
    speed: 1,
  });
  readonly #feeders: readonly TrackFeeder[];
  readonly #timer: ReturnType<typeof setInterval>;
  #tickedAt = performance.now();

  /** Feeders in the order in which they lead. */
  constructor(feeders: readonly TrackFeeder[], opensAtMs: number) {
    this.#feeders = feeders;
    this.#patch({ positionMs: opensAtMs });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#feeders.forEach((feeder) => feeder.close());
  }

  toggle(): void {
    this.#patch({ isPlaying: !this.playback.get().isPlaying });
  }

  setSpeed(speed: number): void {
    this.#patch({ speed });
  }

  seek(positionMs: number): void {
    for (const { element } of this.#feeders) element.currentTime = positionMs / 1000;
    this.#patch({ positionMs });
  }

  #tick(): void {
    const now = performance.now();
    const elapsedMs = now - this.#tickedAt;
    this.#tickedAt = now;
    const { positionMs, isPlaying, speed } = this.playback.get();
    const active = this.#feeders.filter(
      ({ isBroken, pieces }) => !isBroken && pieceAt(pieces, positionMs) !== undefined,
    );
    for (const feeder of this.#feeders) void feeder.pump(positionMs);
    const isWaiting = active.some(({ element }) => !isReadyAt(element, positionMs));
    this.#patch({
      isWaiting: isPlaying && isWaiting,
      isBroken: this.#feeders.some(({ isBroken }) => isBroken),
      hasPicture: active.some(({ element }) => element instanceof HTMLVideoElement),
      positionMs:
        isPlaying && !isWaiting ? this.#advance(active, positionMs, elapsedMs * speed) : positionMs,
    });
    this.#align(active, isPlaying && !isWaiting);
  }

  #advance(active: readonly TrackFeeder[], positionMs: number, elapsedMs: number): number {
    const leader = active.find(
      ({ element }) => !element.paused && element.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA,
    );
    if (leader !== undefined) {
      const leaderMs = leader.element.currentTime * 1000;
      // Just after a seek the element still tells its former time.
      if (Math.abs(leaderMs - positionMs) < JUMP_MS + elapsedMs) return leaderMs;
    }
    if (active.length > 0) return positionMs + elapsedMs;
    const next = nextStart(
      this.#feeders.map(({ pieces }) => pieces),
      positionMs,
    );
    if (next !== undefined) return next;
    // The end; a recording that still runs goes on from here when it has grown.
    return positionMs;
  }

  #align(active: readonly TrackFeeder[], isRunning: boolean): void {
    const { positionMs, speed } = this.playback.get();
    for (const feeder of this.#feeders) {
      const { element } = feeder;
      if (!active.includes(feeder) || !isRunning) {
        if (!element.paused) element.pause();
        if (active.includes(feeder)) correct(element, positionMs, speed);
        continue;
      }
      correct(element, positionMs, speed);
      // A browser that wants a click first says so; the button is that click.
      if (element.paused) element.play().catch(() => this.#patch({ isPlaying: false }));
    }
  }

  #patch(change: Partial<Playback>): void {
    this.playback.set({ ...this.playback.get(), ...change });
  }
}

function correct(element: HTMLMediaElement, positionMs: number, speed: number): void {
  const lagMs = positionMs - element.currentTime * 1000;
  if (Math.abs(lagMs) > JUMP_MS) element.currentTime = positionMs / 1000;
  const nudge = Math.abs(lagMs) > NUDGE_MS ? Math.sign(lagMs) * NUDGE : 0;
  const rate = speed * (1 + nudge);
  if (element.playbackRate !== rate) element.playbackRate = rate;
}

/** The moment is in the buffer, whatever the element is busy with. */
function isReadyAt(element: HTMLMediaElement, positionMs: number): boolean {
  const { buffered } = element;
  const seconds = positionMs / 1000;
  for (let index = 0; index < buffered.length; index += 1) {
    // Encoders start a frame late and stop one early: a tenth of a second is not a hole.
    if (buffered.start(index) - 0.1 <= seconds && seconds < buffered.end(index)) return true;
  }
  return false;
}
