import { Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { formatTime } from '../../lib/time';
import { Card } from '../../ui/Card';
import { Private } from '../../ui/Covered';
import { eventWords } from './eventWords';
import { eventsQuery } from './queries';

/** What happened in a lesson, line by line. Nothing for whom it is not to see. */
export function LessonLog({ lessonId }: { lessonId: string }) {
  const { t, i18n } = useTranslation();
  const { data } = useQuery(eventsQuery(lessonId));
  if (data === undefined || data.items.length === 0) return null;
  return (
    <Card title={t('lesson.log')} isFlush>
      <Private>
        <Table verticalSpacing={6}>
          <Table.Tbody>
            {data.items.map((event) => (
              <Table.Tr key={event.id}>
                <Table.Td w={72} c="dimmed">
                  {formatTime(i18n.language, event.at)}
                </Table.Td>
                <Table.Td>{eventWords(t, i18n.language, event)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Private>
    </Card>
  );
}
