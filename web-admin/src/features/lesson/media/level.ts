/**
 * How loud the microphone is, and whether it gives anything at all.
 */
import { createStore, type Store } from '../../../lib/store';
import workletUrl from './level.worklet.ts?worker&url';

export interface Level {
  /** 0 is silence, 1 is full scale, even steps in decibels. */
  loudness: number;
  /** The microphone has given nothing for so long that a person should look. */
  isSilent: boolean;
}

export interface LevelMeter {
  level: Store<Level>;
  stop(): void;
}

/** A room at rest, after the browser's noise suppression. */
const FLOOR_DB = -75;
/** A dead microphone shows at once; a teacher who has spoken may well think for a while. */
const SILENT_AT_FIRST_MS = 5_000;
const SILENT_LATER_MS = 30_000;

/** Judges the peaks, one each tenth of a second. Muted time does not count: silence is wanted then. */
export class SilenceWatch {
  #quietMs = 0;
  #wasHeard = false;

  feed(peak: number, isMuted: boolean, elapsedMs: number): boolean {
    if (isMuted) {
      this.#quietMs = 0;
      return false;
    }
    if (decibels(peak) > FLOOR_DB) {
      this.#wasHeard = true;
      this.#quietMs = 0;
      return false;
    }
    this.#quietMs += elapsedMs;
    return this.#quietMs >= (this.#wasHeard ? SILENT_LATER_MS : SILENT_AT_FIRST_MS);
  }
}

/** The scale of the meter: -60 dBFS and below is nothing, 0 dBFS is all. */
export function loudness(peak: number): number {
  return Math.min(1, Math.max(0, 1 + decibels(peak) / 60));
}

function decibels(peak: number): number {
  return peak > 0 ? 20 * Math.log10(peak) : -Infinity;
}

/** Listens to the microphone's own track. Without audio worklets the meter just stays at rest. */
export async function startMeter(track: MediaStreamTrack): Promise<LevelMeter> {
  const level = createStore<Level>({ loudness: 0, isSilent: false });
  const context = new AudioContext();
  const stop = () => void context.close().catch(() => {});
  try {
    await context.audioWorklet.addModule(workletUrl);
  } catch {
    return { level, stop };
  }
  const meter = new AudioWorkletNode(context, 'peak-meter', { numberOfOutputs: 0 });
  context.createMediaStreamSource(new MediaStream([track])).connect(meter);
  const watch = new SilenceWatch();
  meter.port.onmessage = ({ data: peak }: MessageEvent<number>) => {
    const isSilent = watch.feed(peak, !track.enabled, 100);
    level.set({ loudness: track.enabled ? loudness(peak) : 0, isSilent });
  };
  return { level, stop };
}
