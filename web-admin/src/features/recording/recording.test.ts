import { describe, expect, it } from 'vitest';

import type { Recording, Segment, Track } from '../../api/types';
import { withFragment } from '../../ui/playback/growth';
import {
  durationMs,
  nextRun,
  nextStart,
  openingMs,
  pieceAt,
  piecesOf,
} from '../../ui/playback/timeline';

/** A segment of one-second fragments of 100 bytes after an init of 10. */
const segment = (id: string, offset_ms: number, seconds: number): Segment => ({
  id,
  mime: 'video/mp4; codecs="avc1.42e01f"',
  offset_ms,
  duration_ms: seconds * 1000,
  size_bytes: 10 + seconds * 100,
  init_bytes: 10,
  fragments: Array.from({ length: seconds }, (_, index) => ({
    at_ms: index * 1000,
    // As cameras and screens are: a keyframe now and then.
    keyframe: index % 4 === 0,
    offset: 10 + index * 100,
    length: 100,
  })),
});
const track = (...segments: Segment[]): Track => ({
  id: 'screen_video',
  kind: 'screen_video',
  segments,
});
const nothing = () => false;

describe('the timeline', () => {
  const pieces = piecesOf(track(segment('a', 0, 3), segment('b', 10_000, 2)));

  it("puts fragments on the recording's own time and knows its holes", () => {
    expect(pieceAt(pieces, 2500)?.segment.id).toBe('a');
    expect(pieceAt(pieces, 5000)).toBeUndefined();
    expect(nextStart([pieces], 5000)).toBe(10_000);
    expect(nextStart([pieces], 20_000)).toBeUndefined();
  });

  it("fetches neighbours by one request, and stops at a segment's end", () => {
    const run = nextRun(pieces, 0, 20_000, nothing, 10);
    expect(run).toMatchObject({ offset: 10, length: 300 });
    const rest = nextRun(pieces, 0, 20_000, (piece) => piece.segment.id === 'a', 10);
    expect(rest?.segment.id).toBe('b');
  });

  it('looks only so far ahead, and never fetches twice', () => {
    expect(nextRun(pieces, 0, 1500, nothing, 10)?.pieces).toHaveLength(2);
    expect(nextRun(pieces, 0, 20_000, () => true, 10)).toBeUndefined();
  });

  it('begins at a keyframe where nothing before is loaded, and goes on where something is', () => {
    const long = piecesOf(track(segment('a', 0, 8)));
    expect(nextRun(long, 6500, 1000, nothing, 10)?.pieces[0]?.fromMs).toBe(4000);
    expect(nextRun(long, 6500, 1000, (piece) => piece.fromMs < 6000, 10)?.pieces[0]?.fromMs).toBe(
      6000,
    );
  });

  it('opens at its first picture, unless long talk stands before that', () => {
    const voice: Track = { ...track(segment('v', 200, 9)), kind: 'person_audio' };
    expect(openingMs([voice, track(segment('a', 1200, 3))])).toBe(1200);
    expect(openingMs([voice, track(segment('a', 60_000, 3))])).toBe(200);
    expect(openingMs([voice])).toBe(200);
    expect(openingMs([])).toBe(0);
  });

  it('is as long as its last fragment while it still grows', () => {
    expect(durationMs({ duration_seconds: 0, tracks: [track(segment('a', 500, 4))] })).toBe(4500);
  });
});

describe('a growing recording', () => {
  const recording: Recording = {
    id: 'r',
    lesson_id: 'l',
    title: '',
    class_name: '',
    teacher_name: '',
    status: 'recording',
    started_at: 0,
    duration_seconds: 0,
    file_size_bytes: 0,
    frame_count: 0,
    is_public: false,
    teacher_id: 't',
    tracks: [track(segment('a', 0, 1))],
  };
  const next = { at_ms: 1000, offset: 110, length: 100, keyframe: false };

  it('takes a fragment once, though the box may tell of it twice', () => {
    const grown = withFragment(recording, 'a', next);
    expect(grown?.tracks[0]?.segments[0]?.fragments).toHaveLength(2);
    expect(grown?.tracks[0]?.segments[0]?.size_bytes).toBe(210);
    expect(grown && withFragment(grown, 'a', next)?.tracks[0]?.segments[0]?.fragments).toHaveLength(
      2,
    );
  });

  it('asks the box about a segment that it has not seen', () => {
    expect(withFragment(recording, 'new', next)).toBeUndefined();
  });
});
