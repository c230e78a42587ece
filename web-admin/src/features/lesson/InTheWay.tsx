import { IconAlertTriangle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { lessonOf, type NamedLesson } from '../../api/problem';
import type { Lesson } from '../../api/types';
import classes from './HomePage.module.css';

interface Props {
  lesson: NamedLesson;
  isOwn: boolean;
}

/** Who has the room, before anything is pressed. */
export function InTheWay({ lesson, isOwn }: Props) {
  const { t } = useTranslation();
  return (
    <div className={classes.busy} role="status">
      <IconAlertTriangle size={20} aria-hidden />
      {isOwn
        ? t('home.busy_own', { class: lesson.class_name })
        : t('home.busy', { teacher: lesson.teacher_name, class: lesson.class_name })}
    </div>
  );
}

/** What this page knows of; or, until it has read the list again, the one that the box named. */
export function standingInTheWay(known: Lesson[], refusal: unknown): NamedLesson[] {
  if (known.length > 0) return known;
  const named = lessonOf(refusal, 'room_busy');
  return named === null ? [] : [named];
}

/** That the room is taken is said by name already. */
export function exceptBusy(error: unknown): unknown {
  return lessonOf(error, 'room_busy') === null ? error : null;
}
