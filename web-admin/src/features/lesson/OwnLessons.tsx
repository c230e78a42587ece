import { Button } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import type { Lesson } from '../../api/types';
import { paths } from '../../lib/paths';
import { roomTitle } from '../../ui/roomTitle';
import classes from './HomePage.module.css';

/** The lessons that this teacher left running: the way back stands before anything else. */
export function OwnLessons({ lessons }: { lessons: Lesson[] }) {
  const { t } = useTranslation();
  return lessons.map((lesson) => (
    <div key={lesson.id} className={classes.own}>
      <div>
        <div className={classes.ownTitle}>{t('home.own')}</div>
        <div>
          {t('lesson.class_in_room', {
            class: lesson.class_name,
            room: roomTitle(t, lesson.room_name),
          })}
        </div>
      </div>
      <Button component={Link} to={paths.lesson(lesson.id)} color="air">
        {t('home.return')}
      </Button>
    </div>
  ));
}
