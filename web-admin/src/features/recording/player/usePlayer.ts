/** The player's parts, made when the page's elements are there and undone when they go. */
import { type RefObject, useEffect, useMemo, useState } from 'react';

import type { Recording, Track } from '../../../api/types';
import { files } from '../../../lib/paths';
import { PlayerClock } from '../../../ui/playback/clock';
import { byRange, TrackFeeder } from '../../../ui/playback/feeder';
import { openingMs, piecesOf } from '../../../ui/playback/timeline';

/** The voice leads: a picture may skip a frame, a word may not. */
const LEADING: readonly Track['kind'][] = ['person_audio', 'screen_video', 'screen_audio'];

/** Media that this browser cannot play, by its mime type; empty when all is well. */
export function unplayable(recording: Recording): string[] {
  const mimes = recording.tracks.flatMap((track) => track.segments.map(({ mime }) => mime));
  if (!('MediaSource' in globalThis)) return [...new Set(mimes)];
  return [...new Set(mimes.filter((mime) => !MediaSource.isTypeSupported(mime)))];
}

/** At most ten seconds in one request: the first picture must not wait for a long file. */
const PIECES_AT_ONCE = 10;

export type Elements = Record<Track['kind'], RefObject<HTMLMediaElement | null>>;

export function usePlayer(recording: Recording, elements: Elements): PlayerClock | null {
  const [clock, setClock] = useState<PlayerClock | null>(null);
  const [feeders, setFeeders] = useState<Map<Track['kind'], TrackFeeder>>(() => new Map());
  const [opensAt] = useState(() => openingMs(recording.tracks));
  // A track that appears in mid-lesson needs its own element and feeder.
  const kinds = useMemo(
    () => LEADING.filter((kind) => recording.tracks.some((track) => track.kind === kind)).join(' '),
    [recording.tracks],
  );

  useEffect(() => {
    const made = new Map<Track['kind'], TrackFeeder>();
    for (const kind of LEADING) {
      const element = elements[kind].current;
      if (element === null || !kinds.includes(kind)) continue;
      made.set(
        kind,
        new TrackFeeder(element, {
          read: byRange((segmentId) => files.segment(recording.id, segmentId)),
          piecesAtOnce: PIECES_AT_ONCE,
        }),
      );
    }
    const started = new PlayerClock([...made.values()], opensAt);
    // Media elements exist only once the page is drawn, so these cannot be made while it is.
    // oxlint-disable-next-line react/set-state-in-effect
    setFeeders(made);
    setClock(started);
    return () => started.close();
  }, [elements, kinds, opensAt, recording.id]);

  useEffect(() => {
    for (const [kind, feeder] of feeders) {
      feeder.follow(recording.tracks.filter((track) => track.kind === kind).flatMap(piecesOf));
    }
  }, [feeders, recording.tracks]);

  return clock;
}
