/**
 * What is said over, under or in the place of the picture, in one word.
 */
import { ApiProblem } from '../../api/problem';
import type { LinkState } from '../../api/live';
import type { LessonShowing } from '../../api/types';
import type { Watching } from './viewer';

export type Word =
  | 'away'
  | 'blank'
  | 'connecting'
  | 'frozen'
  | 'gone'
  | 'late'
  | 'not_recorded'
  | 'reconnecting'
  | 'refused'
  | 'waiting';

export interface Circumstances {
  watching: Pick<Watching, 'phase' | 'problem'>;
  showing: LessonShowing | undefined;
  link: LinkState;
  /** A picture of this lesson has been seen. */
  hasPicture: boolean;
}

/** `null`: the picture speaks for itself. */
export function wordOf({ watching, showing, link, hasPicture }: Circumstances): Word | null {
  if (link === 'down') return 'away';
  if (showing === undefined) return 'connecting';
  if (showing.picture === 'blank') return 'blank';
  if (!showing.has_screen) return 'waiting';
  const isByRecording = needsRecording(watching);
  if (isByRecording && !showing.is_recorded) return 'not_recorded';
  if (watching.phase === 'refused' && !isByRecording) return 'refused';
  if (!showing.on_air) return 'gone';
  if (showing.picture === 'frozen') return 'frozen';
  if (isByRecording) return hasPicture ? 'late' : 'connecting';
  if (watching.phase !== 'up') return hasPicture ? 'reconnecting' : 'connecting';
  return hasPicture ? null : 'connecting';
}

/** What may stand under the picture; everything else takes its place. */
export function isNote(word: Word, hasPicture: boolean): boolean {
  const notes: readonly Word[] = ['away', 'frozen', 'gone', 'late', 'reconnecting'];
  return hasPicture && notes.includes(word);
}

/** Whether media cannot come live, however often it is tried, but may come as a recording does. */
export function needsRecording({ phase, problem }: Pick<Watching, 'phase' | 'problem'>): boolean {
  if (phase !== 'refused') return false;
  if (!(problem instanceof ApiProblem)) return true;
  return ['codec_unplayable', 'codec_unsupported', 'media_blocked'].includes(problem.code);
}
