/**
 * What may be done with a lesson, and the reason when it may not.
 *
 * The box decides anew for each request; this is so that a button says beforehand what the box
 * would answer. Reasons are keys of the catalogue under `lesson.cannot`.
 */
import type { Lesson, Me } from '../../api/types';

export type Reason =
  | 'not_active'
  | 'not_planned'
  | 'not_yours'
  | 'not_your_plan'
  | 'already_yours'
  | 'not_on_air'
  | 'box_away';

export type Can = { ok: true } | { ok: false; reason: Reason };

const YES: Can = { ok: true };
const no = (reason: Reason): Can => ({ ok: false, reason });

/** What the rules look at, besides the lesson. */
export interface Circumstances {
  me: Pick<Me, 'id'>;
  isOnAir: boolean;
  isBoxHere: boolean;
}

/** The same, for a lesson that has not begun. */
interface Beforehand {
  me: Pick<Me, 'id' | 'role'>;
  isBoxHere: boolean;
}

type Held = Pick<Lesson, 'status' | 'teacher_id'>;

/** Whoever stands in front of the class holds the lesson; others take it over first. */
function hold(lesson: Held, { me, isBoxHere }: Circumstances): Can {
  if (lesson.status !== 'active') return no('not_active');
  if (lesson.teacher_id !== me.id) return no('not_yours');
  return isBoxHere ? YES : no('box_away');
}

export const lessonCan = {
  share: hold,
  speak: hold,
  end: hold,
  extend: hold,
  record: hold,
  seat: hold,
  /** What the box has itself goes on air without this browser's help. */
  play: hold,

  /** Blank and freeze change what machines show: without a picture there is nothing to change. */
  changePicture(lesson: Held, around: Circumstances): Can {
    const held = hold(lesson, around);
    return held.ok && !around.isOnAir ? no('not_on_air') : held;
  },

  takeOver(lesson: Held, { me, isBoxHere }: Circumstances): Can {
    if (lesson.status !== 'active') return no('not_active');
    if (lesson.teacher_id === me.id) return no('already_yours');
    return isBoxHere ? YES : no('box_away');
  },

  /** Any teacher may begin what a colleague planned, but not call it off. */
  cancel(lesson: Held, { me, isBoxHere }: Beforehand): Can {
    if (lesson.status !== 'scheduled') return no('not_planned');
    if (lesson.teacher_id !== me.id && me.role !== 'admin') return no('not_your_plan');
    return isBoxHere ? YES : no('box_away');
  },
};
