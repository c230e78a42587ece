/**
 * Feeds one track of a recording into one media element.
 *
 * Each track has its own element and its own SourceBuffer: the sound of the room and of the screen
 * are separate to the end, and a browser plays only one sound of one element. `clock.ts` keeps the
 * elements together.
 *
 * A segment begins with its own init part, and a new codec or size is a new segment: the init goes
 * in again, with the segment's place in time, whenever the next piece is of another segment.
 */
import { nextRun, type Piece, type Run } from './timeline';

/** How far ahead of the playing position the track is kept. */
const AHEAD_MS = 20_000;
/** What was played stays this long for a small step back. */
const BEHIND_MS = 30_000;
/** Where the bytes of a track come from. */
export interface Supply {
  read(
    segmentId: string,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): Promise<ArrayBuffer>;
  /** Neighbours that are read as one. */
  piecesAtOnce: number;
}

export class TrackFeeder {
  readonly element: HTMLMediaElement;
  readonly #supply: Supply;
  readonly #source = new MediaSource();
  readonly #loaded = new Set<string>();
  readonly #aborting = new AbortController();
  #buffer: SourceBuffer | null = null;
  #pieces: readonly Piece[] = [];
  #segmentId: string | null = null;
  #isPumping = false;

  constructor(element: HTMLMediaElement, supply: Supply) {
    this.element = element;
    this.#supply = supply;
    element.src = URL.createObjectURL(this.#source);
  }

  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  /** The browser gave up on this track for good; the others go on without it. */
  get isBroken(): boolean {
    return this.element.error !== null;
  }

  /** The track as it is now; a running recording's grows each second. */
  follow(pieces: readonly Piece[]): void {
    this.#pieces = pieces;
  }

  /** Loads what is missing around a position. Calls while it works do nothing. */
  async pump(positionMs: number): Promise<void> {
    if (this.#isPumping || this.isBroken || this.#source.readyState !== 'open') return;
    this.#isPumping = true;
    try {
      const isLoaded = (piece: Piece) => this.#loaded.has(keyOf(piece));
      const run = nextRun(this.#pieces, positionMs, AHEAD_MS, isLoaded, this.#supply.piecesAtOnce);
      if (run !== undefined) await this.#load(run, positionMs);
    } catch {
      // The box is away, or the buffer is full: the next call tries again.
      if (!this.isBroken) await this.#forgetPast(positionMs).catch(() => {});
    } finally {
      this.#isPumping = false;
    }
  }

  close(): void {
    this.#aborting.abort();
    const url = this.element.src;
    this.element.removeAttribute('src');
    this.element.load();
    URL.revokeObjectURL(url);
  }

  async #load(run: Run, positionMs: number): Promise<void> {
    const { segment } = run;
    const media = await this.#fetch(segment.id, run.offset, run.length);
    const buffer = this.#bufferFor(segment.mime);
    if (this.#segmentId !== segment.id) {
      const init = await this.#fetch(segment.id, 0, segment.init_bytes);
      buffer.changeType(segment.mime);
      buffer.timestampOffset = segment.offset_ms / 1000;
      await append(buffer, init);
      this.#segmentId = segment.id;
    }
    await append(buffer, media);
    run.pieces.forEach((piece) => this.#loaded.add(keyOf(piece)));
    await this.#forgetPast(positionMs);
  }

  #bufferFor(mime: string): SourceBuffer {
    this.#buffer ??= this.#source.addSourceBuffer(mime);
    return this.#buffer;
  }

  #fetch(segmentId: string, offset: number, length: number): Promise<ArrayBuffer> {
    return this.#supply.read(segmentId, offset, length, this.#aborting.signal);
  }

  /** Keeps the buffer small; a browser that runs out of room refuses the next append. */
  async #forgetPast(positionMs: number): Promise<void> {
    const buffer = this.#buffer;
    const untilMs = positionMs - BEHIND_MS;
    if (buffer === null || buffer.updating || buffer.buffered.length === 0) return;
    if (buffer.buffered.start(0) * 1000 >= untilMs) return;
    buffer.remove(0, untilMs / 1000);
    await updated(buffer);
    // A piece that is cut in two counts as gone and is loaded again when one steps back.
    for (const piece of this.#pieces) if (piece.fromMs < untilMs) this.#loaded.delete(keyOf(piece));
  }
}

/** Parts of whole files. */
export function byRange(urlOf: (segmentId: string) => string): Supply['read'] {
  return async (segmentId, offset, length, signal) => {
    const response = await fetch(urlOf(segmentId), {
      headers: { range: `bytes=${offset}-${offset + length - 1}` },
      signal,
    });
    if (response.status !== 206) {
      throw new Error(`range of ${segmentId} answered ${response.status}`);
    }
    return response.arrayBuffer();
  };
}

function keyOf(piece: Piece): string {
  return `${piece.segment.id}:${piece.offset}`;
}

async function append(buffer: SourceBuffer, bytes: ArrayBuffer): Promise<void> {
  buffer.appendBuffer(bytes);
  await updated(buffer);
}

function updated(buffer: SourceBuffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    const { signal } = over;
    const finish = (done: () => void) => {
      over.abort();
      done();
    };
    buffer.addEventListener('updateend', () => finish(resolve), { signal });
    buffer.addEventListener(
      'error',
      () => finish(() => reject(new Error('the browser refused the media'))),
      { signal },
    );
  });
}
