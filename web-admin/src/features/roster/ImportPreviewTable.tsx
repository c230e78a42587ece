import { Alert, List, Table, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { ImportPreview } from '../../api/types';
import { knownProblem } from '../../api/problem';
import { Mark, type Tone } from '../../ui/Mark';

const TONES: Record<ImportPreview['rows'][number]['action'], Tone> = {
  add: 'good',
  update: 'look',
  same: 'quiet',
};

/** What the box read: why it cannot be taken, each bad line by its number, then all the others. */
export function ImportPreviewTable({ preview }: { preview: ImportPreview }) {
  const { t } = useTranslation();
  return (
    <>
      <Text size="sm" c="dimmed">
        {t('roster.understood', {
          encoding: preview.encoding.toUpperCase(),
          add: preview.add,
          update: preview.update,
          same: preview.same,
        })}
      </Text>
      {preview.bad_lines.length > 0 && (
        <Alert
          color="air"
          icon={<IconAlertTriangle />}
          title={t('roster.bad_lines', { count: preview.bad_lines.length })}
        >
          <List size="sm" spacing={2}>
            {preview.bad_lines.map((bad) => (
              <List.Item key={bad.line}>
                {t('roster.bad_line', {
                  line: bad.line,
                  why: knownProblem(t, bad.code) ?? bad.detail,
                })}
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
      {preview.too_many > 0 && (
        <Alert color="air" icon={<IconAlertTriangle />} title={t('problem.class_full')}>
          {t('roster.import_too_many', { count: preview.too_many })}
        </Alert>
      )}
      <Table.ScrollContainer minWidth={420} mah={320}>
        <Table stickyHeader verticalSpacing={6}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th w={64}>{t('roster.line')}</Table.Th>
              <Table.Th>{t('roster.full_name')}</Table.Th>
              <Table.Th>{t('roster.number')}</Table.Th>
              <Table.Th>{t('roster.what')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {preview.rows.map((row) => (
              <Table.Tr key={row.line}>
                <Table.Td c="dimmed">{row.line}</Table.Td>
                <Table.Td>{row.full_name}</Table.Td>
                <Table.Td>{row.student_id}</Table.Td>
                <Table.Td>
                  <Mark tone={TONES[row.action]}>{t(`roster.action.${row.action}`)}</Mark>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </>
  );
}
