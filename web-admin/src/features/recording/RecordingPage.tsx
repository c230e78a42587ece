import { Alert, Anchor, Button, Group, Switch, Text } from '@mantine/core';
import { IconAlertCircle, IconDownload, IconTrash } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useParams } from 'react-router';

import { $api, queryClient } from '../../api/client';
import { refresh } from '../../api/refresh';
import { useIsAdmin, useMe } from '../../api/session';
import type { Recording } from '../../api/types';
import { files, paths } from '../../lib/paths';
import { formatDateTime } from '../../lib/time';
import { formatBytes } from '../../lib/units';
import { Confirm } from '../../ui/Confirm';
import { Page } from '../../ui/Page';
import { ProblemLine } from '../../ui/ProblemLine';
import { Player } from './player/Player';
import { recordingQuery, recordingsQuery, useGrowth } from './queries';
import { RecordingMark } from './RecordingMark';

export function RecordingPage() {
  const { t, i18n } = useTranslation();
  const { id = '' } = useParams();
  const recording = useSuspenseQuery(recordingQuery(id)).data;
  useGrowth(id);
  const isMine = useMe().id === recording.teacher_id;
  const mayChange = useIsAdmin() || isMine;
  const hasMedia = recording.tracks.some((track) => track.segments.length > 0);

  return (
    <Page
      title={recording.class_name}
      lead={
        <>
          {formatDateTime(i18n.language, recording.started_at)}
          {' · '}
          {recording.teacher_name}
          {' · '}
          <Anchor component={Link} to={paths.lesson(recording.lesson_id)}>
            {t('recording.to_lesson')}
          </Anchor>
        </>
      }
      actions={<Actions recording={recording} mayRemove={mayChange} />}
    >
      <Group gap="sm">
        <RecordingMark status={recording.status} />
        <Text c="dimmed">{t(`recording.status_about.${recording.status}`)}</Text>
      </Group>
      {recording.fault != null && (
        <Alert color="air" icon={<IconAlertCircle />}>
          {t(`recording.fault.${recording.fault}`)}
        </Alert>
      )}
      {hasMedia && <Player key={id} recording={recording} />}
      {mayChange && recording.status !== 'starting' && <PublicSwitch recording={recording} />}
      {recording.file_size_bytes > 0 && (
        <Text size="sm" c="dimmed">
          {t('recording.on_disk', { size: formatBytes(i18n.language, recording.file_size_bytes) })}
        </Text>
      )}
    </Page>
  );
}

function PublicSwitch({ recording }: { recording: Recording }) {
  const { t } = useTranslation();
  const change = $api.useMutation('patch', '/api/v1/recordings/{id}', {
    onSuccess: async (changed) => {
      queryClient.setQueryData(recordingQuery(recording.id).queryKey, changed);
      await refresh(recordingsQuery);
    },
  });
  return (
    <>
      <Switch
        label={t('recording.public')}
        checked={recording.is_public}
        disabled={change.isPending}
        onChange={(event) =>
          change.mutate({
            params: { path: { id: recording.id } },
            body: { is_public: event.currentTarget.checked },
          })
        }
      />
      <ProblemLine error={change.error} />
    </>
  );
}

interface ActionsProps {
  recording: Recording;
  mayRemove: boolean;
}

function Actions({ recording, mayRemove }: ActionsProps) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [isRemoving, setIsRemoving] = useState(false);
  const remove = $api.useMutation('delete', '/api/v1/recordings/{id}', {
    onSuccess: async () => {
      await navigate(paths.recordings);
      await refresh(recordingsQuery);
    },
  });
  return (
    <>
      {recording.status === 'ready' && (
        <Button
          component="a"
          download
          href={files.download(recording.id)}
          leftSection={<IconDownload size={18} aria-hidden />}
        >
          {t('recording.download')}
        </Button>
      )}
      {mayRemove && (recording.status === 'ready' || recording.status === 'failed') && (
        <Button
          variant="default"
          leftSection={<IconTrash size={18} aria-hidden />}
          onClick={() => setIsRemoving(true)}
        >
          {t('recording.remove')}
        </Button>
      )}
      <Confirm
        isOpen={isRemoving}
        title={t('recording.remove')}
        what={t('recording.remove_what')}
        yes={t('ui.remove')}
        isBusy={remove.isPending}
        error={remove.error}
        onYes={() => remove.mutate({ params: { path: { id: recording.id } } })}
        onClose={() => setIsRemoving(false)}
      />
    </>
  );
}
