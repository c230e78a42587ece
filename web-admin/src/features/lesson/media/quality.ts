/** What the box asks of whoever publishes, as an encoder in the browser takes it. */
import type { StreamLimits } from '../../../api/types';

export interface Quality {
  videoBps: number;
  audioBps: number;
  fps: number;
}

export function qualityOf(limits: StreamLimits): Quality {
  return {
    videoBps: limits.max_bitrate_bps,
    audioBps: limits.max_audio_bitrate_bps,
    fps: limits.max_fps,
  };
}

export function isSameQuality(one: Quality, other: Quality): boolean {
  return (
    one.videoBps === other.videoBps && one.audioBps === other.audioBps && one.fps === other.fps
  );
}
