/**
 * What the box's quality profiles mean for an encoder in the browser.
 *
 * The box picks the profile by how many students are present; the numbers are its own
 * (`quality profile` in the daemon) and must stay the same here.
 */
import type { QualityProfile } from '../../../api/types';

export interface Quality {
  videoBps: number;
  audioBps: number;
  fps: number;
}

const QUALITY: Record<QualityProfile, Quality> = {
  small: { videoBps: 4_000_000, audioBps: 128_000, fps: 30 },
  medium: { videoBps: 3_000_000, audioBps: 96_000, fps: 24 },
  large: { videoBps: 2_000_000, audioBps: 64_000, fps: 15 },
};

/** `max_fps` is the lesson's own limit and wins when it is lower. */
export function qualityOf(lesson: { quality_profile: QualityProfile; max_fps: number }): Quality {
  const quality = QUALITY[lesson.quality_profile];
  return { ...quality, fps: Math.min(quality.fps, lesson.max_fps) };
}
