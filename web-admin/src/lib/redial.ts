/**
 * Keeps one call to the box up for as long as it is wanted: what this tab publishes, what it watches.
 *
 * ```text
 *            start              dialled
 *  stopped ────────▶ connecting ────────▶ up
 *     ▲                ▲  │  │               │ lost
 *     │ stop           │  │  └───────────────┤
 *     │ (from any)     │  │ failed           │
 *     │          timer,│  ▼                  │
 *     │          nudge └ waiting ◀───────────┘ (at once: a wait of 0)
 *     │                   │ failed for good
 *     └───────────────────▼
 *                      refused
 * ```
 *
 * What is published or shown is the caller's and outlives every call, so with a box that restarts the
 * same picture is back without a click. `nudge` says that the box was heard again: the wait is cut
 * short, which brings the picture back faster than any back-off would dare to ask.
 */
import type { After } from './timer';

export type Phase = 'stopped' | 'connecting' | 'up' | 'waiting' | 'refused';

/** A call that the box has taken. */
export interface Call {
  /** Calls once when it is lost; never after `close`. */
  onLost(listener: () => void): void;
  close(): void;
}

export interface RedialPlan<C extends Call> {
  /** Resolves when media flows; rejects after a bounded time. Must free all when `signal` aborts. */
  dial(signal: AbortSignal): Promise<C>;
  /** Whether a failure will be the same next time. */
  isFinal(error: unknown): boolean;
  after: After;
  onPhase(phase: Phase, error: unknown): void;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 3000;
const WAIT_GROWTH = 1.5;

export class Redial<C extends Call> {
  readonly #plan: RedialPlan<C>;
  #phase: Phase = 'stopped';
  #call: C | null = null;
  #dialling: AbortController | null = null;
  #cancelWait: () => void = () => {};
  #waitMs = FIRST_WAIT_MS;

  constructor(plan: RedialPlan<C>) {
    this.#plan = plan;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The call that is up, if one is. */
  get call(): C | null {
    return this.#call;
  }

  start(): void {
    if (this.#phase === 'stopped' || this.#phase === 'refused') this.#dial();
  }

  stop(): void {
    this.#drop();
    this.#enter('stopped');
  }

  /** The box is in reach again: do not wait any longer. */
  nudge(): void {
    if (this.#phase !== 'waiting') return;
    this.#waitMs = FIRST_WAIT_MS;
    this.#dial();
  }

  /** What is up, or about to be, is not what is wanted, though the connection is well. */
  renew(): void {
    if (this.#phase !== 'up' && this.#phase !== 'connecting') return;
    this.#waitMs = FIRST_WAIT_MS;
    this.#dial();
  }

  /** Gives up for a reason that came from elsewhere: another device took over, the lesson ended. */
  refuse(reason: unknown): void {
    if (this.#phase === 'stopped') return;
    this.#drop();
    this.#enter('refused', reason);
  }

  #dial(): void {
    this.#drop();
    const dialling = new AbortController();
    this.#dialling = dialling;
    this.#enter('connecting');
    this.#plan.dial(dialling.signal).then(
      (call) => this.#onDialled(dialling, call),
      (error: unknown) => this.#onFailed(dialling, error),
    );
  }

  #onDialled(dialling: AbortController, call: C): void {
    if (dialling.signal.aborted) {
      call.close();
      return;
    }
    this.#call = call;
    this.#waitMs = FIRST_WAIT_MS;
    this.#enter('up');
    call.onLost(() => {
      if (this.#call === call) this.#dial();
    });
  }

  #onFailed(dialling: AbortController, error: unknown): void {
    if (dialling.signal.aborted) return;
    if (this.#plan.isFinal(error)) {
      this.refuse(error);
      return;
    }
    this.#enter('waiting', error);
    this.#cancelWait = this.#plan.after(this.#waitMs, () => this.#dial());
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * WAIT_GROWTH);
  }

  #drop(): void {
    this.#cancelWait();
    this.#dialling?.abort();
    this.#dialling = null;
    this.#call?.close();
    this.#call = null;
  }

  #enter(phase: Phase, error: unknown = null): void {
    this.#phase = phase;
    this.#plan.onPhase(phase, error);
  }
}
