/**
 * The one WebSocket that says what changed at the box.
 *
 * ```text
 *            start                    open
 *   off ───────────────▶ opening ───────────────▶ up
 *    ▲                      ▲                      │ closed, bye, silent
 *    │ stop                 │ the box answers      ▼
 *    └──────────────────────┴──────────────────── down (asks every 0.5 s)
 * ```
 *
 * Events carry no state: each only names the queries that are no longer true (`staleKeys`), and
 * they are read again by REST. After every reconnect everything is read again, for what was missed
 * is unknown.
 *
 * A link that the box ends because its session is over is "down" too; that everything is read again
 * then shows who is not logged in any more.
 *
 * While the box is away it is asked by plain HTTP, not by opening sockets: Chromium delays a page's
 * new WebSockets by up to 5 s after many failed ones, and a lesson's picture must be back sooner.
 */
import type { LiveEvent } from './types';
import type { After } from '../lib/timer';

export type LinkState = 'off' | 'opening' | 'up' | 'down';

/** How often an absent box is asked whether it is back. */
export const ASK_EVERY_MS = 500;

/** What the box closes a link with whose session is over (RFC 6455 §7.4.1: policy). */
const SESSION_OVER = 1008;

/** As much of a WebSocket as the link needs. */
export interface LiveSocket {
  onmessage: ((message: MessageEvent) => void) | null;
  onclose: ((close: CloseEvent) => void) | null;
  close(): void;
}

/** What the link needs from the world; the tests bring their own. */
export interface LiveWorld {
  openSocket(): LiveSocket;
  /** Resolves when the box answers, rejects when it does not; never hangs. */
  probe(): Promise<unknown>;
  after: After;
}

export interface LiveListener {
  onState(state: LinkState): void;
  onEvent(event: LiveEvent): void;
  onSessionOver(): void;
}

export class LiveLink {
  readonly #world: LiveWorld;
  readonly #listener: LiveListener;
  #state: LinkState = 'off';
  #socket: LiveSocket | null = null;
  #cancelTimer: () => void = () => {};

  constructor(world: LiveWorld, listener: LiveListener) {
    this.#world = world;
    this.#listener = listener;
  }

  start(): void {
    if (this.#state === 'off') this.#open();
  }

  stop(): void {
    this.#cancelTimer();
    this.#dropSocket();
    this.#enter('off');
  }

  #open(): void {
    this.#enter('opening');
    const socket = this.#world.openSocket();
    this.#socket = socket;
    socket.onmessage = (message) => this.#onMessage(message);
    socket.onclose = (close) => {
      if (close.code === SESSION_OVER) this.#listener.onSessionOver();
      this.#onGone();
    };
  }

  #onMessage(message: MessageEvent): void {
    const event = parseEvent(message.data);
    if (event === null) return;
    // `hello` is the box's word that it will tell of every change from here on.
    if (event.type === 'hello') this.#enter('up');
    this.#listener.onEvent(event);
    if (event.type === 'bye') this.#onGone();
  }

  #onGone(): void {
    this.#dropSocket();
    this.#enter('down');
    this.#cancelTimer = this.#world.after(ASK_EVERY_MS, () => void this.#ask());
  }

  async #ask(): Promise<void> {
    const isBack = await this.#world.probe().then(
      () => true,
      () => false,
    );
    if (this.#state !== 'down') return;
    if (isBack) this.#open();
    else this.#onGone();
  }

  #dropSocket(): void {
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  #enter(state: LinkState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#listener.onState(state);
  }
}

/** `null` for an event this page does not know: a newer box may say more than an older page reads. */
function parseEvent(data: unknown): LiveEvent | null {
  if (typeof data !== 'string') return null;
  try {
    const value: unknown = JSON.parse(data);
    return isLiveEvent(value) ? value : null;
  } catch {
    return null;
  }
}

const EVENT_TYPES: Record<LiveEvent['type'], true> = {
  attendance_changed: true,
  bye: true,
  fault_changed: true,
  hello: true,
  lesson_changed: true,
  machine_changed: true,
  people_changed: true,
  preview_changed: true,
  recording_changed: true,
  recording_grew: true,
  resync: true,
  room_changed: true,
  roster_changed: true,
  stream_changed: true,
};

function isLiveEvent(value: unknown): value is LiveEvent {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    typeof value.type === 'string' &&
    value.type in EVENT_TYPES
  );
}
