import { Button, Table, Text, Tooltip, VisuallyHidden } from '@mantine/core';
import { IconPencil } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { AttendanceLesson, AttendanceRecord } from '../../api/types';
import { boxNow, formatDateTime, formatTime } from '../../lib/time';
import { Mark } from '../../ui/Mark';
import classes from './Attendance.module.css';
import { TONES } from './statuses';

interface Props {
  lesson: AttendanceLesson;
  records: AttendanceRecord[];
  onCorrect: (record: AttendanceRecord) => void;
}

export function AttendanceTable({ lesson, records, onCorrect }: Props) {
  const { t, i18n } = useTranslation();
  const collator = new Intl.Collator(i18n.language);
  const time = (at: number | null | undefined) => (at == null ? '' : formatTime(i18n.language, at));
  return (
    <Table.ScrollContainer minWidth={300}>
      <Table verticalSpacing="xs">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('attendance.student')}</Table.Th>
            <Table.Th>{t('attendance.status_head')}</Table.Th>
            <Table.Th visibleFrom="xs">{t('attendance.came')}</Table.Th>
            <Table.Th visibleFrom="xs">{t('attendance.left')}</Table.Th>
            <Table.Th visibleFrom="sm" w="28%">
              {t('attendance.presence')}
            </Table.Th>
            <Table.Th w={56}>
              <VisuallyHidden>{t('ui.actions')}</VisuallyHidden>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {records
            .toSorted((a, b) => collator.compare(a.full_name, b.full_name))
            .map((record) => (
              <Table.Tr key={record.student_id}>
                <Table.Td fw={550}>{record.full_name}</Table.Td>
                <Table.Td>
                  <Mark tone={TONES[record.status]}>{t(`attendance.status.${record.status}`)}</Mark>
                  <CorrectionNote record={record} />
                </Table.Td>
                <Table.Td visibleFrom="xs">{time(record.joined_at)}</Table.Td>
                <Table.Td visibleFrom="xs">{time(record.left_at)}</Table.Td>
                <Table.Td visibleFrom="sm">
                  <PresenceBar lesson={lesson} record={record} />
                </Table.Td>
                <Table.Td>
                  <Button
                    variant="subtle"
                    color="gray"
                    size="compact-sm"
                    aria-label={t('attendance.correct_of', { name: record.full_name })}
                    onClick={() => onCorrect(record)}
                  >
                    <IconPencil size={18} aria-hidden />
                  </Button>
                </Table.Td>
              </Table.Tr>
            ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function CorrectionNote({ record }: { record: AttendanceRecord }) {
  const { t, i18n } = useTranslation();
  const { correction } = record;
  if (correction == null) return null;
  const at = formatDateTime(i18n.language, correction.at);
  return (
    <Tooltip
      multiline
      maw={320}
      label={t('attendance.corrected_by', {
        name: correction.by_name,
        at,
        was: t(`attendance.status.${correction.was}`),
      })}
    >
      <Text span size="sm" c="dimmed" ms={8} tabIndex={0}>
        {correction.why}
      </Text>
    </Tooltip>
  );
}

/** When the student was there, drawn over the length of the lesson. */
function PresenceBar({ lesson, record }: { lesson: AttendanceLesson; record: AttendanceRecord }) {
  const { t } = useTranslation();
  const end = lesson.end_at ?? boxNow();
  const length = Math.max(1, end - lesson.start_at);
  const at = (time: number) =>
    Math.min(100, Math.max(0, ((time - lesson.start_at) / length) * 100));
  const minutes = Math.round(record.duration_seconds / 60);
  return (
    <span className={classes.presence}>
      <span className={classes.bar} aria-hidden>
        {record.spans.map((span) => {
          const from = at(span.from_at);
          const width = Math.max(0.5, at(span.to_at ?? end) - from);
          return (
            <span
              key={span.from_at}
              className={classes.span}
              style={{ left: `${from}%`, width: `${width}%` }}
            />
          );
        })}
      </span>
      <span className={classes.minutes}>{t('attendance.minutes', { count: minutes })}</span>
    </span>
  );
}
