import { Table } from '@mantine/core';
import { IconCalendarStats } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { useParams } from 'react-router';

import { files } from '../../lib/paths';
import { Card, Empty } from '../../ui/Card';
import { DownloadMenu } from '../../ui/DownloadMenu';
import { classAttendanceQuery } from './queries';
import { STATUSES } from './statuses';

/** A class over all its lessons: one row for each student, one column for each status. */
export function ClassAttendanceTab() {
  const { t, i18n } = useTranslation();
  const { id = '' } = useParams();
  const { items } = useSuspenseQuery(classAttendanceQuery(id)).data;
  const collator = new Intl.Collator(i18n.language);
  if (items.length === 0) {
    return (
      <Card>
        <Empty icon={<IconCalendarStats size={30} stroke={1.5} aria-hidden />}>
          {t('attendance.no_lessons')}
        </Empty>
      </Card>
    );
  }
  return (
    <Card
      title={t('attendance.title')}
      isFlush
      actions={<DownloadMenu size="compact-md" href={(kind) => files.classAttendance(id, kind)} />}
    >
      <Table.ScrollContainer minWidth={560}>
        <Table verticalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('attendance.student')}</Table.Th>
              <Table.Th ta="end">{t('attendance.lessons')}</Table.Th>
              {STATUSES.map((status) => (
                <Table.Th key={status} ta="end">
                  {t(`attendance.status.${status}`)}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {items
              .toSorted((a, b) => collator.compare(a.full_name, b.full_name))
              .map((row) => (
                <Table.Tr key={row.student_id}>
                  <Table.Td fw={550}>{row.full_name}</Table.Td>
                  <Table.Td ta="end">{row.lessons}</Table.Td>
                  {STATUSES.map((status) => (
                    <Table.Td key={status} ta="end" c={row[status] === 0 ? 'dimmed' : undefined}>
                      {row[status]}
                    </Table.Td>
                  ))}
                </Table.Tr>
              ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}
