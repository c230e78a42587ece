/** How a running recording grows: a fragment a second for every track. */
import type { Fragment, Track } from '../../api/types';

/** The recording with one more fragment, or `undefined` when it has no such segment. */
export function withFragment<R extends { tracks: Track[] }>(
  recording: R,
  segmentId: string,
  fragment: Fragment,
): R | undefined {
  let isFound = false;
  const tracks = recording.tracks.map((track) => ({
    ...track,
    segments: track.segments.map((segment) => {
      if (segment.id !== segmentId) return segment;
      isFound = true;
      if (segment.fragments.some(({ offset }) => offset === fragment.offset)) return segment;
      return {
        ...segment,
        size_bytes: Math.max(segment.size_bytes, fragment.offset + fragment.length),
        fragments: [...segment.fragments, fragment],
      };
    }),
  }));
  return isFound ? { ...recording, tracks } : undefined;
}
