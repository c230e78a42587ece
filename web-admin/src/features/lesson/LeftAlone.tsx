import { Button } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { useMe } from '../../api/session';
import type { Lesson } from '../../api/types';
import { paths } from '../../lib/paths';
import { formatTime } from '../../lib/time';
import { roomTitle } from '../../ui/roomTitle';
import classes from './HomePage.module.css';
import { useNow } from './useNow';

/** Lessons past their planned end with no teacher there: a colleague who sees it may take one over. */
export function LeftAlone({ lessons }: { lessons: Lesson[] }) {
  const { t, i18n } = useTranslation();
  const me = useMe();
  const now = useNow();
  return lessons.map(
    (lesson) =>
      lesson.ends_by_itself_at !== null &&
      lesson.planned_end_at <= now &&
      lesson.teacher_id !== me.id && (
        <div key={lesson.id} className={classes.own} data-alone role="status">
          <div>
            <div className={classes.ownTitle}>
              {t('lesson.class_in_room', {
                class: lesson.class_name,
                room: roomTitle(t, lesson.room_name),
              })}
            </div>
            <div>
              {t('home.alone', {
                teacher: lesson.teacher_name,
                time: formatTime(i18n.language, lesson.ends_by_itself_at),
              })}
            </div>
          </div>
          <Button component={Link} to={paths.lesson(lesson.id)} variant="default">
            {t('home.open')}
          </Button>
        </div>
      ),
  );
}
