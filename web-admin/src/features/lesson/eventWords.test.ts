import i18next from 'i18next';
import { expect, it } from 'vitest';

import type { LessonEvent } from '../../api/types';
import { eventWords } from './eventWords';

/** As it comes from the box: `data` is whatever that event carries. */
function said(event_type: string, data: object | null = null, student: string | null = null) {
  const event: LessonEvent = JSON.parse(
    JSON.stringify({
      id: 'e',
      at: 0,
      event_type,
      student_id: student,
      student_name: student,
      teacher_id: 't',
      teacher_name: 'Ann',
      data,
    }),
  );
  return eventWords(i18next.t, 'en', event);
}

it('says who did it, and what happened by itself', () => {
  expect(said('started')).toBe('Begun by Ann');
  expect(said('ended')).toBe('Ended by Ann');
  expect(said('ended', { by_itself: true })).toBe('Ended by itself');
});

it('says why a recording stopped', () => {
  expect(said('recording_off')).toBe('Recording switched off');
  expect(said('recording_off', { by_itself: true, fault: 'disk_full' })).toBe(
    'The recording has stopped. The disk was full.',
  );
});

it('says what was on air, and from where', () => {
  const screen = { publication: 'screen', source: 'whip', by_stream_key: false };
  expect(said('publication_started', screen)).toBe('On air: a screen (Ann)');
  expect(said('publication_started', { ...screen, by_stream_key: true })).toBe(
    'On air: a screen from OBS or the like (Ann)',
  );
  expect(said('publication_ended', { ...screen, source: 'file' })).toBe(
    'Off the air: a video from the box',
  );
});

it('says what people changed of the attendance', () => {
  expect(said('seat_changed', { from: 'PC-1', to: null, mode: 'now' }, 'Bob')).toBe(
    'Bob: PC-1 → no seat',
  );
  const corrected = { was: 'absent', status: 'excused', why: 'Is ill' };
  expect(said('attendance_corrected', corrected, 'Bob')).toBe(
    'Bob: absent → excused. Is ill (Ann)',
  );
});

it('keeps the name of what a newer box tells, and stumbles over nothing that is missing', () => {
  expect(said('hand_raised')).toBe('hand_raised');
  expect(said('quality_changed')).toBe('Quality of the picture: ');
});
