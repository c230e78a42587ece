import { expect, it } from 'vitest';

import type { Lesson } from '../../api/types';
import { guessNext, lessonInTheWay } from './guess';

const lesson = (part: Partial<Lesson>): Lesson => ({
  id: 'l',
  class_id: '7b',
  class_name: '7 B',
  room_id: 'r1',
  room_name: 'Room 1',
  clock_was_sure: true,
  description: null,
  duration_seconds: null,
  end_at: null,
  ends_by_itself_at: null,
  machine_ids: null,
  substitute_for: null,
  teacher_id: 'me',
  teacher_name: 'Me',
  title: '',
  status: 'completed',
  start_at: 0,
  planned_end_at: 0,
  quality_profile: 'small',
  quality_pinned: false,
  max_fps: 30,
  student_count: 0,
  is_recording: true,
  picture: 'live',
  ...part,
});
const classes = ['7b', '9a'].map((id) => ({ id, name: id, student_count: 0, max_students: 50 }));
const rooms = ['r1', 'r2'].map((id) => ({ id, name: id, machine_count: 0, connected_count: 0 }));

it('proposes what this teacher held last', () => {
  const held = [
    lesson({ start_at: 1, class_id: '7b', room_id: 'r1' }),
    lesson({ start_at: 2, class_id: '9a', room_id: 'r2' }),
    lesson({ start_at: 3, teacher_id: 'colleague' }),
    lesson({ start_at: 4, status: 'cancelled' }),
  ];
  expect(guessNext(held, 'me', classes, rooms)).toEqual({ classId: '9a', roomId: 'r2' });
});

it('skips a class that is gone and falls back to the first', () => {
  const held = [lesson({ class_id: 'gone', room_id: 'r2' })];
  expect(guessNext(held, 'me', classes, rooms)).toEqual({ classId: '7b', roomId: 'r2' });
  expect(guessNext([], 'me', [], [])).toEqual({ classId: null, roomId: null });
});

it('sees a colleague in the room, but not oneself', () => {
  const theirs = lesson({ status: 'active', teacher_id: 'colleague', room_id: 'r2' });
  expect(lessonInTheWay([theirs], 'r2', 'me')).toBe(theirs);
  expect(lessonInTheWay([theirs], 'r1', 'me')).toBeNull();
  expect(lessonInTheWay([lesson({ status: 'active' })], 'r1', 'me')).toBeNull();
});
