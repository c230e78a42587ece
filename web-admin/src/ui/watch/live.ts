/**
 * How near to now the newest of a recording is played.
 *
 * A fragment holds a second and is told when that is over, so what is in the buffer ends up to a
 * second and a bit ago. Played from the beginning of the newest fragment on, it lasts until the next
 * one comes; what is further behind than `FURTHEST_MS` jumps there.
 */
import type { Track } from '../../api/types';
import { piecesOf } from '../playback/timeline';

/** Before the end of what there is: a fragment, and time to fetch the next one. */
export const BEHIND_MS = 1300;

/** Just after a fragment came, with that just before its end: two seconds behind the teacher. */
const FURTHEST_MS = 1900;

/** The end of the newest fragment of the picture; of any track while there is no picture. */
export function newestMs(tracks: readonly Track[]): number | undefined {
  const pictures = tracks.filter(({ kind }) => kind === 'screen_video');
  const ends = (pictures.length > 0 ? pictures : tracks).flatMap(
    (track) => piecesOf(track).at(-1)?.toMs ?? [],
  );
  return ends.length === 0 ? undefined : Math.max(...ends);
}

/** Where to play on when the newest ends at `endMs`; `null`: as it goes. */
export function jumpTo(positionMs: number, endMs: number): number | null {
  const isNear = positionMs >= endMs - FURTHEST_MS && positionMs <= endMs;
  return isNear ? null : Math.max(0, endMs - BEHIND_MS);
}
