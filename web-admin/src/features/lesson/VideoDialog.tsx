import { Loader, Modal, Stack, Text, TextInput } from '@mantine/core';
import { IconMovie, IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Video } from '../../api/types';
import { byName, formatBytes } from '../../lib/units';
import { CopyLine } from '../../ui/CopyLine';
import { ProblemLine } from '../../ui/ProblemLine';
import { Waiting } from '../../ui/Waiting';
import { videosQuery } from './queries';
import type { DeskState } from './useDesk';
import classes from './VideoDialog.module.css';

/** More than these are looked for by name. */
const SEEN_AT_ONCE = 10;

/** The videos on the box's disk; one press puts one on air. */
export function VideoDialog({ desk, onClose }: { desk: DeskState; onClose: () => void }) {
  const { t } = useTranslation();
  const { data, error } = useQuery(videosQuery);
  const { source } = desk.actions;
  const [picked, setPicked] = useState<string | null>(null);
  const pick = (path: string) => {
    setPicked(path);
    source.mutate({ kind: 'file', path }, { onSuccess: onClose });
  };
  return (
    <Modal opened onClose={onClose} title={t('lesson.videos.title')} size="lg">
      <Stack>
        {/* What went wrong before with another source is not this dialog's. */}
        <ProblemLine error={error ?? (picked === null ? null : source.error)} />
        {data === undefined && error === null && <Waiting />}
        {data?.items.length === 0 && (
          <>
            <Text>{t('lesson.videos.none')}</Text>
            <CopyLine label={t('lesson.videos.folder')} value={data.folder} />
          </>
        )}
        {data !== undefined && data.items.length > 0 && (
          <VideoList
            videos={data.items}
            starting={source.isPending ? picked : null}
            onPick={pick}
          />
        )}
      </Stack>
    </Modal>
  );
}

interface ListProps {
  videos: Video[];
  /** The one that is on its way. */
  starting: string | null;
  onPick: (name: string) => void;
}

function VideoList({ videos, starting, onPick }: ListProps) {
  const { t, i18n } = useTranslation();
  const [sought, setSought] = useState('');
  const wanted = sought.trim().toLocaleLowerCase();
  const found = videos.filter(({ name }) => name.toLocaleLowerCase().includes(wanted));
  return (
    <>
      {videos.length > SEEN_AT_ONCE && (
        <TextInput
          aria-label={t('lesson.videos.seek')}
          placeholder={t('lesson.videos.seek')}
          leftSection={<IconSearch size={18} aria-hidden />}
          data-autofocus
          value={sought}
          onChange={(event) => setSought(event.currentTarget.value)}
        />
      )}
      <ul className={classes.videos}>
        {found.toSorted(byName(i18n.language)).map(({ name, size_bytes: size }) => (
          <li key={name}>
            <button
              type="button"
              className={classes.video}
              disabled={starting !== null}
              onClick={() => onPick(name)}
            >
              {starting === name ? <Loader size={20} /> : <IconMovie size={20} aria-hidden />}
              <span className={classes.name}>{name}</span>
              <span className={classes.size}>{formatBytes(i18n.language, size)}</span>
            </button>
          </li>
        ))}
      </ul>
      {found.length === 0 && <Text c="dimmed">{t('lesson.videos.not_found')}</Text>}
    </>
  );
}
