/**
 * The start of a lesson: class and room are guessed, one button is left to press.
 */
import { Stack } from '@mantine/core';
import { useSuspenseQueries } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { useMe } from '../../api/session';
import { givenName } from '../../lib/names';
import { FirstSteps } from './FirstSteps';
import classes from './HomePage.module.css';
import { LeftAlone } from './LeftAlone';
import { OwnLessons } from './OwnLessons';
import { PlannedToday } from './PlannedToday';
import {
  activeLessonsQuery,
  classesQuery,
  plannedLessonsQuery,
  recentLessonsQuery,
  roomsQuery,
} from './queries';
import { StartForm } from './StartForm';

export function HomePage() {
  const { t } = useTranslation();
  const me = useMe();
  const [schoolClasses, rooms, active, recent, planned] = useSuspenseQueries({
    queries: [
      classesQuery,
      roomsQuery,
      activeLessonsQuery,
      recentLessonsQuery,
      plannedLessonsQuery,
    ],
  });
  const mine = active.data.items.filter((lesson) => lesson.teacher_id === me.id);
  const isReady = schoolClasses.data.items.length > 0 && rooms.data.items.length > 0;

  return (
    <div className={classes.page}>
      <header>
        <h1 className={classes.greeting}>
          {t('home.greeting', { name: givenName(me.full_name) })}
        </h1>
        <p className={classes.lead}>
          {isReady
            ? t('home.lead')
            : t('home.lead_empty', { count: rooms.data.items.length === 0 ? 2 : 1 })}
        </p>
      </header>
      <Stack gap="lg">
        {mine.length > 0 && <OwnLessons lessons={mine} />}
        <LeftAlone lessons={active.data.items} />
        {isReady ? (
          <StartForm
            classes={schoolClasses.data.items}
            rooms={rooms.data.items}
            active={active.data.items}
            recent={recent.data.items}
            planned={planned.data.items}
          />
        ) : (
          <FirstSteps
            hasClass={schoolClasses.data.items.length > 0}
            hasRoom={rooms.data.items.length > 0}
          />
        )}
        <PlannedToday lessons={planned.data.items} />
      </Stack>
    </div>
  );
}
