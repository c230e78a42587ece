import { Anchor, Table } from '@mantine/core';
import { IconVideo } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { paths } from '../../lib/paths';
import { formatDateTime, formatElapsed } from '../../lib/time';
import { formatBytes } from '../../lib/units';
import { Card, Empty } from '../../ui/Card';
import { Page } from '../../ui/Page';
import { recordingsQuery } from './queries';
import { RecordingMark } from './RecordingMark';

export function RecordingsPage() {
  const { t, i18n } = useTranslation();
  const { items } = useSuspenseQuery(recordingsQuery).data;
  return (
    <Page title={t('recording.title')}>
      <Card isFlush>
        {items.length === 0 ? (
          <Empty icon={<IconVideo size={30} stroke={1.5} aria-hidden />}>
            {t('recording.none')}
          </Empty>
        ) : (
          <Table.ScrollContainer minWidth={320}>
            <Table highlightOnHover>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('recording.lesson')}</Table.Th>
                  <Table.Th visibleFrom="sm">{t('recording.teacher')}</Table.Th>
                  <Table.Th>{t('recording.state')}</Table.Th>
                  <Table.Th ta="end">{t('recording.length')}</Table.Th>
                  <Table.Th ta="end" visibleFrom="sm">
                    {t('recording.size')}
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items
                  .toSorted((a, b) => b.started_at - a.started_at)
                  .map((recording) => (
                    <Table.Tr key={recording.id}>
                      <Table.Td>
                        <Anchor component={Link} to={paths.recording(recording.id)} fw={550}>
                          {recording.class_name}
                        </Anchor>
                        {' · '}
                        {formatDateTime(i18n.language, recording.started_at)}
                      </Table.Td>
                      <Table.Td visibleFrom="sm">{recording.teacher_name}</Table.Td>
                      <Table.Td>
                        <RecordingMark status={recording.status} />
                      </Table.Td>
                      <Table.Td ta="end">
                        {formatElapsed(recording.duration_seconds * 1000)}
                      </Table.Td>
                      <Table.Td ta="end" visibleFrom="sm">
                        {formatBytes(i18n.language, recording.file_size_bytes)}
                      </Table.Td>
                    </Table.Tr>
                  ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Card>
    </Page>
  );
}
