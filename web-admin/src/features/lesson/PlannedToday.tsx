import { Anchor } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { useMe } from '../../api/session';
import type { Lesson } from '../../api/types';
import { paths } from '../../lib/paths';
import { formatTime, isSameDay } from '../../lib/time';
import { roomTitle } from '../../ui/roomTitle';
import classes from './HomePage.module.css';
import { useNow } from './useNow';

/** What this teacher has planned for the rest of the day, the next first. */
export function PlannedToday({ lessons }: { lessons: Lesson[] }) {
  const { t, i18n } = useTranslation();
  const me = useMe();
  const now = useNow();
  const today = lessons
    .filter(
      (lesson) =>
        lesson.teacher_id === me.id &&
        lesson.planned_end_at > now &&
        isSameDay(lesson.start_at, now),
    )
    .toSorted((a, b) => a.start_at - b.start_at);
  if (today.length === 0) return null;
  return (
    <section className={classes.card} aria-label={t('home.planned')}>
      <h2 className={classes.plannedTitle}>{t('home.planned')}</h2>
      <ul className={classes.planned}>
        {today.map((lesson) => (
          <li key={lesson.id}>
            <span className={classes.plannedTime}>
              {formatTime(i18n.language, lesson.start_at)}
            </span>
            <span>
              {t('lesson.class_in_room', {
                class: lesson.class_name,
                room: roomTitle(t, lesson.room_name),
              })}
            </span>
            <Anchor component={Link} to={paths.lesson(lesson.id)}>
              {t('home.open')}
            </Anchor>
          </li>
        ))}
      </ul>
    </section>
  );
}
