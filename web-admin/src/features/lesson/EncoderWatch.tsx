import { useQueries, useQuery } from '@tanstack/react-query';
import { useLayoutEffect } from 'react';

import { useMe } from '../../api/session';
import type { StreamState } from '../../api/types';
import { announceEncoder } from '../../lib/privacy';
import { activeLessonsQuery, onAirQuery } from './queries';

/**
 * Covers the pages while a program of this person (OBS, GStreamer) sends their screen. Which
 * window it sends no browser knows, nor on which computer it runs: the careful answer is the whole
 * screen of this one. While the box has not said yet, the careful answer holds too.
 */
export function EncoderWatch() {
  const me = useMe();
  const active = useQuery(activeLessonsQuery);
  const mine = (active.data?.items ?? []).filter((lesson) => lesson.teacher_id === me.id);
  const isSending = useQueries({
    queries: mine.map((lesson) => onAirQuery(lesson.id)),
    combine: (streams) =>
      streams.some(
        ({ data, isPending }) => isPending || (data !== undefined && sends(data, me.id)),
      ),
  });
  const mayBe = active.isPending || isSending;
  useLayoutEffect(() => {
    announceEncoder(mayBe);
    return () => announceEncoder(false);
  }, [mayBe]);
  return null;
}

function sends({ publications }: Pick<StreamState, 'publications'>, teacherId: string): boolean {
  return publications.some(
    (one) => one.kind === 'screen' && one.by_stream_key && one.teacher_id === teacherId,
  );
}
