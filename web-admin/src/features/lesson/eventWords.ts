/**
 * A line of a lesson's log as a sentence.
 *
 * What an event carries is written by the box, also by an older or a newer one: nothing of it is
 * taken for granted, and an event that this page does not know keeps its bare name.
 */
import type { TFunction } from 'i18next';

import type { LessonEvent } from '../../api/types';
import en from '../../i18n/en.json';
import { formatTime } from '../../lib/time';

export function eventWords(t: TFunction, language: string, event: LessonEvent): string {
  const { event_type: type } = event;
  if (!isKnown(type)) return type;
  const said = dataOf(event);
  if (said.flag('by_itself')) {
    if (type === 'ended') return t('lesson.event.ended_itself');
    if (type === 'recording_off') {
      return t('lesson.event.recording_lost', { why: faultWords(t, said.text('fault')) });
    }
  }
  return t(`lesson.event.${type}`, {
    who: event.teacher_name ?? t('lesson.event_box'),
    student: event.student_name ?? '',
    title: said.text('title'),
    minutes: said.text('minutes'),
    quality: qualityWord(t, said.text('to')),
    what: what(t, said),
    from: said.text('from') || t('lesson.no_machine'),
    to: said.text('to') || t('lesson.no_machine'),
    was: statusWord(t, said.text('was')),
    status: statusWord(t, said.text('status')),
    why: said.text('why'),
    time: formatTime(language, Number(said.text('ends_at'))),
  });
}

/** Screen or voice, and where it came from. */
function what(t: TFunction, said: Said): string {
  if (said.text('publication') === 'person') return t('lesson.event_what.voice');
  if (said.flag('by_stream_key')) return t('lesson.event_what.encoder');
  const source = said.text('source');
  if (source === 'file') return t('lesson.event_what.file');
  return source === 'capture' ? t('lesson.event_what.capture') : t('lesson.event_what.screen');
}

function statusWord(t: TFunction, key: string): string {
  return isIn(en.attendance.status, key) ? t(`attendance.status.${key}`) : '';
}

function qualityWord(t: TFunction, key: string): string {
  return key === 'small' || key === 'medium' || key === 'large' ? t(`lesson.quality_${key}`) : '';
}

function faultWords(t: TFunction, key: string): string {
  return isIn(en.recording.fault, key) ? t(`recording.fault.${key}`) : '';
}

interface Said {
  text(key: string): string;
  flag(key: string): boolean;
}

function dataOf(event: LessonEvent): Said {
  const data: Record<string, unknown> = event.data ?? {};
  return {
    text: (key) => {
      const value = data[key];
      return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
    },
    flag: (key) => data[key] === true,
  };
}

function isKnown(type: string): type is keyof typeof en.lesson.event {
  return type in en.lesson.event;
}

function isIn<T extends object>(words: T, key: string): key is keyof T & string {
  return key in words;
}
