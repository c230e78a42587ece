import { describe, expect, it } from 'vitest';

import type { Lesson, Me, Role } from '../../api/types';
import { type Circumstances, lessonCan } from './lessonCan';

const mine = { status: 'active', teacher_id: 'me' } satisfies Partial<Lesson>;
const theirs = { status: 'active', teacher_id: 'colleague' } satisfies Partial<Lesson>;
const over = { status: 'completed', teacher_id: 'me' } satisfies Partial<Lesson>;
const onAir: Circumstances = { me: { id: 'me' }, isOnAir: true, isBoxHere: true };

describe('lessonCan', () => {
  it('lets the teacher who holds the lesson do everything', () => {
    for (const rule of [
      lessonCan.share,
      lessonCan.speak,
      lessonCan.end,
      lessonCan.extend,
      lessonCan.changePicture,
    ]) {
      expect(rule(mine, onAir)).toEqual({ ok: true });
    }
  });

  it('asks a colleague to take the lesson over first', () => {
    expect(lessonCan.share(theirs, onAir)).toEqual({ ok: false, reason: 'not_yours' });
    expect(lessonCan.takeOver(theirs, onAir)).toEqual({ ok: true });
    expect(lessonCan.takeOver(mine, onAir)).toEqual({ ok: false, reason: 'already_yours' });
  });

  it('changes no picture while nothing is on air', () => {
    expect(lessonCan.changePicture(mine, { ...onAir, isOnAir: false })).toEqual({
      ok: false,
      reason: 'not_on_air',
    });
  });

  it('says that the box is away rather than letting a click fail', () => {
    expect(lessonCan.end(mine, { ...onAir, isBoxHere: false })).toEqual({
      ok: false,
      reason: 'box_away',
    });
  });

  it('does nothing to a lesson that is over', () => {
    expect(lessonCan.share(over, onAir)).toEqual({ ok: false, reason: 'not_active' });
    expect(lessonCan.takeOver(over, onAir)).toEqual({ ok: false, reason: 'not_active' });
  });

  it('lets who planned a lesson, or an administrator, call it off', () => {
    const planned = { status: 'scheduled', teacher_id: 'colleague' } satisfies Partial<Lesson>;
    const asked = (id: string, role: Role) =>
      lessonCan.cancel(planned, { me: { id, role }, isBoxHere: true });
    expect(asked('colleague', 'teacher')).toEqual({ ok: true });
    expect(asked('admin', 'admin')).toEqual({ ok: true });
    expect(asked('me', 'teacher')).toEqual({ ok: false, reason: 'not_your_plan' });
    const begun = { ...planned, status: 'active' } satisfies Partial<Lesson>;
    const me = { id: 'colleague', role: 'teacher' } satisfies Partial<Me>;
    expect(lessonCan.cancel(begun, { me, isBoxHere: true })).toEqual({
      ok: false,
      reason: 'not_planned',
    });
  });
});
