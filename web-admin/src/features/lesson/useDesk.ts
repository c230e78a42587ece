/**
 * Everything the desk's parts look at, read once: the lesson, its stream, this tab's studio, the
 * link, and the rules applied to them.
 */
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { linkState } from '../../api/liveBox';
import { useMe } from '../../api/session';
import type { Lesson, StreamState } from '../../api/types';
import { useStore } from '../../lib/store';
import type { Verdict } from '../../ui/VerdictButton';
import { lampOf } from './lamp';
import { type Can, type Circumstances, lessonCan } from './lessonCan';
import { blockingLimit, browserLimits, thisBrowser } from './media/capture';
import { studio } from './media/studio';
import { streamQuery } from './queries';
import { useLessonActions } from './useLessonActions';

const NO_STREAM: StreamState = { on_air: false, publications: [], machines: [] };

export function useDesk(stored: Lesson) {
  const { t } = useTranslation();
  const actions = useLessonActions(stored);
  const lesson = { ...stored, ...actions.wished };
  const me = useMe();
  // With the broadcast broken the lesson still has its people, its recording and its end.
  const { data: stream = NO_STREAM } = useQuery(streamQuery(lesson.id));
  const link = useStore(linkState);
  const whole = useStore(studio.state);
  // What another lesson has on air from this tab is not this desk's.
  const own = whole.lessonId === lesson.id ? whole : { ...whole, screen: null, person: null };
  const [limits] = useState(() => browserLimits(thisBrowser()));
  const blocked = blockingLimit(limits);
  const lamp = lampOf(lesson, stream, own, link);
  const around: Circumstances = {
    me,
    isOnAir: stream.on_air || own.screen?.phase === 'up',
    isBoxHere: link !== 'down',
  };
  const verdict = (can: Can): Verdict =>
    can.ok
      ? can
      : { ok: false, reason: t(`lesson.cannot.${can.reason}`, { teacher: lesson.teacher_name }) };

  return {
    lesson,
    me,
    stream,
    studio: own,
    lamp,
    /** What this browser will not give. */
    limits,
    actions,
    may: {
      share:
        blocked === null
          ? verdict(lessonCan.share(lesson, around))
          : { ok: false, reason: t(`lesson.limit.${blocked}`) },
      play: verdict(lessonCan.play(lesson, around)),
      speak: verdict(lessonCan.speak(lesson, around)),
      changePicture: verdict(lessonCan.changePicture(lesson, around)),
      end: verdict(lessonCan.end(lesson, around)),
      extend: verdict(lessonCan.extend(lesson, around)),
      record: verdict(lessonCan.record(lesson, around)),
      seat: verdict(lessonCan.seat(lesson, around)),
      takeOver: verdict(lessonCan.takeOver(lesson, around)),
    },
  };
}

export type DeskState = ReturnType<typeof useDesk>;

/** Blank and freeze are switches: the same key brings the picture back. */
export function togglePicture(
  { lesson, may, actions }: DeskState,
  picture: 'blank' | 'frozen',
): void {
  if (!may.changePicture.ok) return;
  actions.change.mutate({ picture: lesson.picture === picture ? 'live' : picture });
}
