/**
 * What the box records, a second or two after it was on air: for browsers that cannot play it live.
 *
 * The recording's player, held near to its end.
 */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';

import { $api, queryClient } from '../../api/client';
import { onLiveEvent } from '../../api/liveBox';
import type { RecentRecording, Track } from '../../api/types';
import { files } from '../../lib/paths';
import { PlayerClock } from '../playback/clock';
import { TrackFeeder } from '../playback/feeder';
import { withFragment } from '../playback/growth';
import { piecesOf } from '../playback/timeline';
import { jumpTo, newestMs } from './live';

const KINDS: readonly Track['kind'][] = ['screen_video', 'person_audio', 'screen_audio'];

/** The box says when there is more; this is for what it said while nobody listened. */
const LOOK_AGAIN_MS = 5_000;

export const recentQuery = (lessonId: string) => ({
  ...$api.queryOptions('get', '/api/v1/lessons/{id}/recent', {
    params: { path: { id: lessonId } },
  }),
  refetchInterval: LOOK_AGAIN_MS,
});

interface Props {
  lessonId: string;
  label: string;
  isMuted: boolean;
  className: string | undefined;
  onPicture: () => void;
}

export function RecentPicture(props: Props) {
  const { data: recent } = useQuery(recentQuery(props.lessonId));
  useGrowth(props.lessonId);
  if (recent === undefined) return null;
  // Switched off and on again it is another recording, with times of its own.
  return <OneRecording key={recent.recording_id} tracks={recent.tracks} {...props} />;
}

function OneRecording(props: Props & { tracks: readonly Track[] }) {
  const { lessonId, tracks, label, isMuted, className, onPicture } = props;
  const picture = useRef<HTMLVideoElement>(null);
  const sound = useRef<HTMLAudioElement>(null);
  const voice = useRef<HTMLAudioElement>(null);
  const elements = useMemo(
    () => ({ screen_video: picture, screen_audio: sound, person_audio: voice }),
    [],
  );
  const kinds = KINDS.filter((kind) => tracks.some((track) => track.kind === kind)).join(' ');
  const [player, setPlayer] = useState<Player | null>(null);

  useEffect(() => {
    if (kinds === '') return undefined;
    const made = new Player(lessonId, (kind) =>
      kinds.includes(kind) ? elements[kind].current : null,
    );
    // Media elements exist only once the page is drawn, so these cannot be made while it is.
    // oxlint-disable-next-line react/set-state-in-effect
    setPlayer(made);
    return () => {
      made.close();
      setPlayer(null);
    };
  }, [lessonId, kinds, elements]);
  useEffect(() => {
    player?.follow(tracks);
  }, [player, tracks]);
  useEffect(() => {
    for (const { current } of Object.values(elements))
      if (current !== null) current.muted = isMuted;
  }, [elements, isMuted]);

  return (
    <>
      <video
        ref={picture}
        className={className}
        aria-label={label}
        muted
        playsInline
        onLoadedData={onPicture}
      />
      <audio ref={sound} muted />
      <audio ref={voice} muted />
    </>
  );
}

class Player {
  readonly #feeders = new Map<Track['kind'], TrackFeeder>();
  readonly #clock: PlayerClock;

  constructor(lessonId: string, elementOf: (kind: Track['kind']) => HTMLMediaElement | null) {
    for (const kind of KINDS) {
      const element = elementOf(kind);
      if (element === null) continue;
      const read = async (
        segmentId: string,
        offset: number,
        _length: number,
        signal: AbortSignal,
      ) => {
        const response = await fetch(files.recentPiece(lessonId, segmentId, offset), { signal });
        if (!response.ok) throw new Error(`a piece of ${segmentId} answered ${response.status}`);
        return response.arrayBuffer();
      };
      this.#feeders.set(kind, new TrackFeeder(element, { read, piecesAtOnce: 1 }));
    }
    this.#clock = new PlayerClock([...this.#feeders.values()], 0);
  }

  /** There is more of it. */
  follow(tracks: readonly Track[]): void {
    for (const [kind, feeder] of this.#feeders) {
      feeder.follow(tracks.filter((track) => track.kind === kind).flatMap(piecesOf));
    }
    const endMs = newestMs(tracks);
    if (endMs === undefined) return;
    const { positionMs, isPlaying } = this.#clock.playback.get();
    const target = jumpTo(positionMs, endMs);
    if (target !== null) this.#clock.seek(target);
    if (!isPlaying) this.#clock.toggle();
  }

  close(): void {
    this.#clock.close();
  }
}

/** Keeps the index as long as what is on disk. */
function useGrowth(lessonId: string): void {
  useEffect(
    () =>
      onLiveEvent((event) => {
        if (event.type !== 'recording_grew' || event.lesson_id !== lessonId) return;
        const { queryKey } = recentQuery(lessonId);
        const recent = queryClient.getQueryData<RecentRecording>(queryKey);
        const isSame = recent?.recording_id === event.recording_id;
        const grown = isSame ? withFragment(recent, event.segment_id, event.fragment) : undefined;
        if (grown !== undefined) queryClient.setQueryData(queryKey, grown);
        else void queryClient.invalidateQueries({ queryKey });
      }),
    [lessonId],
  );
}
