/**
 * What the pages of recordings read, and how a running recording grows.
 *
 * A fragment is added each second to every track: reading the whole recording again for each would
 * be waste, so the event's fragment is put into what is already here.
 */
import { useEffect } from 'react';

import { $api, queryClient } from '../../api/client';
import { onLiveEvent } from '../../api/liveBox';
import type { Recording } from '../../api/types';
import { withFragment } from '../../ui/playback/growth';

export const recordingsQuery = $api.queryOptions('get', '/api/v1/recordings');

export const recordingQuery = (id: string) =>
  $api.queryOptions('get', '/api/v1/recordings/{id}', { params: { path: { id } } });

/** Keeps the recording's index as long as its files. */
export function useGrowth(id: string): void {
  useEffect(
    () =>
      onLiveEvent((event) => {
        if (event.type !== 'recording_grew' || event.recording_id !== id) return;
        const { queryKey } = recordingQuery(id);
        const recording = queryClient.getQueryData<Recording>(queryKey);
        const grown = recording && withFragment(recording, event.segment_id, event.fragment);
        if (grown !== undefined) queryClient.setQueryData(queryKey, grown);
        // A segment that is new: only the box knows its codec and where it lies.
        else void queryClient.invalidateQueries({ queryKey });
      }),
    [id],
  );
}
