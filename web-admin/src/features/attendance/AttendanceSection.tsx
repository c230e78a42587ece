/** The attendance of one lesson: who, when, how long; a correction keeps who made it and why. */
import { Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { AttendanceLesson, AttendanceRecord, AttendanceStatus } from '../../api/types';
import { files } from '../../lib/paths';
import { Card, Empty } from '../../ui/Card';
import { Private } from '../../ui/Covered';
import { DownloadMenu } from '../../ui/DownloadMenu';
import { Mark } from '../../ui/Mark';
import { ProblemLine } from '../../ui/ProblemLine';
import { Waiting } from '../../ui/Waiting';
import { AttendanceTable } from './AttendanceTable';
import { CorrectDialog } from './CorrectDialog';
import { attendanceQuery } from './queries';
import { STATUSES, TONES } from './statuses';

export function AttendanceSection({ lessonId }: { lessonId: string }) {
  const { data, error, isPending } = useQuery(attendanceQuery(lessonId));
  if (isPending) return <Waiting />;
  // A colleague's lesson: its attendance is not theirs to see.
  return data === undefined ? (
    <ProblemLine error={error} />
  ) : (
    <Sheet lessonId={lessonId} {...data} />
  );
}

interface SheetProps {
  lessonId: string;
  lesson: AttendanceLesson;
  items: AttendanceRecord[];
}

function Sheet({ lessonId, lesson, items }: SheetProps) {
  const { t } = useTranslation();
  const [corrected, setCorrected] = useState<AttendanceRecord | null>(null);

  return (
    <Card
      title={t('attendance.title')}
      isFlush
      actions={<DownloadMenu size="compact-md" href={(kind) => files.attendance(lesson, kind)} />}
    >
      <Group gap="xs" p="md">
        {countByStatus(items).map(([status, count]) => (
          <Mark key={status} tone={TONES[status]}>
            {t('attendance.count', { what: t(`attendance.status.${status}`), count })}
          </Mark>
        ))}
      </Group>
      <Private>
        {items.length === 0 ? (
          <Empty>{t('attendance.empty')}</Empty>
        ) : (
          <AttendanceTable lesson={lesson} records={items} onCorrect={setCorrected} />
        )}
      </Private>
      <Text size="sm" c="dimmed" p="md">
        {t('attendance.how')}
      </Text>
      {corrected !== null && (
        <Private>
          <CorrectDialog
            lessonId={lessonId}
            record={corrected}
            onClose={() => setCorrected(null)}
          />
        </Private>
      )}
    </Card>
  );
}

/** Only what occurs, in the order of the list of statuses. */
function countByStatus(records: readonly AttendanceRecord[]): [AttendanceStatus, number][] {
  return STATUSES.map((status): [AttendanceStatus, number] => [
    status,
    records.filter((record) => record.status === status).length,
  ]).filter(([, count]) => count > 0);
}
