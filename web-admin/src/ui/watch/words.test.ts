import { describe, expect, it } from 'vitest';

import { ApiProblem } from '../../api/problem';
import type { LessonShowing, Track } from '../../api/types';
import { jumpTo, newestMs } from './live';
import type { Watching } from './viewer';
import { inStereo } from './whep';
import { isNote, needsRecording, wordOf } from './words';

const showing: LessonShowing = {
  on_air: true,
  has_screen: true,
  picture: 'live',
  codec_video: 'h264',
  has_sound: true,
  has_voice: false,
  is_recorded: true,
  playout_ms: 250,
};
const up: Pick<Watching, 'phase' | 'problem'> = { phase: 'up', problem: null };
const around = { watching: up, showing, link: 'up' as const, hasPicture: true };
const refused = (code: string): typeof up => ({
  phase: 'refused',
  problem: new ApiProblem(415, code, {}),
});

describe('what is said of the picture', () => {
  it('is nothing while it speaks for itself', () => {
    expect(wordOf(around)).toBeNull();
  });

  it('is what the teacher does before what the network does', () => {
    const connecting = { ...around, watching: { phase: 'connecting' as const, problem: null } };
    const shown = (part: Partial<LessonShowing>) =>
      wordOf({ ...connecting, showing: { ...showing, ...part } });
    expect(shown({ picture: 'blank' })).toBe('blank');
    expect(shown({ has_screen: false })).toBe('waiting');
    expect(shown({ on_air: false })).toBe('gone');
    expect(shown({ picture: 'frozen' })).toBe('frozen');
    expect(shown({})).toBe('reconnecting');
    expect(wordOf({ ...connecting, hasPicture: false })).toBe('connecting');
    expect(wordOf({ ...around, link: 'down' })).toBe('away');
  });

  it('covers the picture of a blank screen and stands under one that is only late', () => {
    expect(isNote('blank', true)).toBe(false);
    expect(isNote('waiting', true)).toBe(false);
    expect(isNote('reconnecting', true)).toBe(true);
    expect(isNote('reconnecting', false)).toBe(false);
    expect(isNote('late', true)).toBe(true);
  });

  it('is that it comes from the recording, or that there is none', () => {
    const watching = refused('codec_unplayable');
    expect(needsRecording(watching)).toBe(true);
    expect(wordOf({ ...around, watching })).toBe('late');
    const unrecorded = { ...showing, is_recorded: false };
    expect(wordOf({ ...around, watching, showing: unrecorded })).toBe('not_recorded');
    const full = refused('too_many_viewers');
    expect(needsRecording(full)).toBe(false);
    expect(wordOf({ ...around, watching: full })).toBe('refused');
  });
});

describe('the newest of a recording', () => {
  const fragment = (second: number) => ({
    at_ms: second * 1000,
    offset: 10 + second,
    length: 1,
    keyframe: true,
  });
  const track = (kind: Track['kind'], seconds: number): Track => ({
    id: kind,
    kind,
    segments: [
      {
        id: kind,
        mime: 'video/mp4',
        offset_ms: 5000,
        duration_ms: seconds * 1000,
        size_bytes: 1,
        init_bytes: 1,
        fragments: Array.from({ length: seconds }, (_, second) => fragment(second)),
      },
    ],
  });

  it('ends where its picture does', () => {
    expect(newestMs([track('person_audio', 9), track('screen_video', 8)])).toBe(13_000);
    expect(newestMs([track('person_audio', 9)])).toBe(14_000);
    expect(newestMs([])).toBeUndefined();
  });

  it('is played two seconds behind at most, and without a jump each second', () => {
    expect(jumpTo(0, 13_000)).toBe(11_700);
    expect(jumpTo(11_700, 13_000)).toBeNull();
    // One that waited a little for its fragment is let go on.
    expect(jumpTo(12_300, 14_000)).toBeNull();
    expect(jumpTo(12_000, 14_000)).toBe(12_700);
    expect(jumpTo(20_000, 14_000)).toBe(12_700);
  });
});

it('asks Chromium for two channels, whatever the line ends with', () => {
  const sdp = 'a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n';
  expect(inStereo(sdp)).toContain('a=fmtp:111 minptime=10;useinbandfec=1;stereo=1\r\n');
  expect(inStereo(inStereo(sdp))).toBe(inStereo(sdp));
});
