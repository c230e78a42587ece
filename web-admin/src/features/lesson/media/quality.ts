/** What the box asks of whoever publishes, as an encoder in the browser takes it. */
import type { StreamLimits } from '../../../api/types';

export interface Quality {
  videoBps: number;
  audioBps: number;
  fps: number;
  /** Lines of the picture. */
  height: number;
}

export function qualityOf(limits: StreamLimits): Quality {
  return {
    videoBps: limits.max_bitrate_bps,
    audioBps: limits.max_audio_bitrate_bps,
    fps: limits.max_fps,
    height: limits.max_height,
  };
}

export function isSameQuality(one: Quality, other: Quality): boolean {
  return (
    one.videoBps === other.videoBps &&
    one.audioBps === other.audioBps &&
    one.fps === other.fps &&
    one.height === other.height
  );
}

/** A picture is bounded by what has so many lines and this shape, whatever its own shape is. */
const ASPECT = 16 / 9;

/** What to ask the browser's capture for, so that it never makes more than is sent. */
export function captureBounds(quality: Quality | undefined): MediaTrackConstraints {
  if (quality === undefined) return {};
  const { fps, height } = quality;
  return {
    frameRate: { max: fps },
    width: { max: Math.round(height * ASPECT) },
    height: { max: height },
  };
}

/**
 * By how much a picture has to shrink. Not every browser keeps to what its capture is asked for, and
 * a window may grow later.
 */
export function shrinkage(size: PictureSize, quality: Quality): number {
  return Math.max(1, size.height / quality.height, size.width / (quality.height * ASPECT));
}

export interface PictureSize {
  width: number;
  height: number;
}
