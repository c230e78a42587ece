/**
 * The one lamp of the desk: what the class gets at this moment, in one word.
 */
import type { Lesson, StreamState } from '../../api/types';
import type { LinkState } from '../../api/live';
import type { StudioState } from './media/studio';

export type Lamp = 'off' | 'going' | 'away' | 'live' | 'blank' | 'frozen';

/** The box's word counts; what this tab knows only explains why there is no picture yet. */
export function lampOf(
  lesson: Pick<Lesson, 'picture'>,
  stream: Pick<StreamState, 'publications'>,
  studio: Pick<StudioState, 'screen'>,
  link: LinkState,
): Lamp {
  if (link === 'down') return 'away';
  const hasScreen = stream.publications.some((publication) => publication.kind === 'screen');
  const phase = studio.screen?.phase;
  if (phase === 'waiting') return 'away';
  if (phase === 'connecting') return 'going';
  if (!hasScreen && phase !== 'up') return 'off';
  return lesson.picture;
}

/** Whether the box itself has something on air: a video, its camera, its microphone. */
export function hasOwnSource({ publications }: Pick<StreamState, 'publications'>): boolean {
  return publications.some(({ source }) => source !== 'whip');
}
