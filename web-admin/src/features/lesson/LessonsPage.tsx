import { Anchor, Button, Table, Text } from '@mantine/core';
import { IconCalendarPlus, IconSchool } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import type { Lesson } from '../../api/types';
import { paths } from '../../lib/paths';
import { formatDateTime } from '../../lib/time';
import { Card, Empty } from '../../ui/Card';
import { LessonNotes } from '../../ui/LessonNotes';
import { Mark, type Tone } from '../../ui/Mark';
import { Page } from '../../ui/Page';
import { PlanDialog } from './PlanDialog';
import { allLessonsQuery } from './queries';

const TONES: Record<Lesson['status'], Tone> = {
  active: 'bad',
  scheduled: 'frost',
  completed: 'good',
  cancelled: 'quiet',
};

/** Every lesson, the newest first: the way to its attendance and its recording. */
export function LessonsPage() {
  const { t, i18n } = useTranslation();
  const { items } = useSuspenseQuery(allLessonsQuery).data;
  const [isPlanning, setIsPlanning] = useState(false);
  return (
    <Page
      title={t('lessons.title')}
      actions={
        <Button
          variant="default"
          leftSection={<IconCalendarPlus size={18} aria-hidden />}
          onClick={() => setIsPlanning(true)}
        >
          {t('lessons.plan')}
        </Button>
      }
    >
      <Card isFlush>
        {items.length === 0 ? (
          <Empty icon={<IconSchool size={30} stroke={1.5} aria-hidden />}>
            {t('lessons.none')}
          </Empty>
        ) : (
          <Table.ScrollContainer minWidth={320}>
            <Table highlightOnHover>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('lessons.when')}</Table.Th>
                  <Table.Th>{t('home.class')}</Table.Th>
                  <Table.Th visibleFrom="sm">{t('home.room')}</Table.Th>
                  <Table.Th visibleFrom="sm">{t('lessons.teacher')}</Table.Th>
                  <Table.Th>{t('lessons.state')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items
                  .toSorted((a, b) => b.start_at - a.start_at)
                  .map((lesson) => (
                    <Table.Tr key={lesson.id}>
                      <Table.Td>{formatDateTime(i18n.language, lesson.start_at)}</Table.Td>
                      <Table.Td>
                        <Anchor component={Link} to={paths.lesson(lesson.id)} fw={550}>
                          {lesson.class_name}
                        </Anchor>
                        {lesson.title !== lesson.class_name && (
                          <Text size="sm" c="dimmed">
                            {lesson.title}
                          </Text>
                        )}
                      </Table.Td>
                      <Table.Td visibleFrom="sm">{lesson.room_name}</Table.Td>
                      <Table.Td visibleFrom="sm">
                        {lesson.teacher_name}
                        <LessonNotes lesson={lesson} />
                      </Table.Td>
                      <Table.Td>
                        <Mark tone={TONES[lesson.status]}>
                          {t(`lessons.status.${lesson.status}`)}
                        </Mark>
                      </Table.Td>
                    </Table.Tr>
                  ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Card>
      {isPlanning && <PlanDialog onClose={() => setIsPlanning(false)} />}
    </Page>
  );
}
