/**
 * What the box itself can put on air, and the other things that are wanted once in a while: behind
 * one key, so that the keys in front of it stay few.
 */
import { Menu } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconDeviceTv, IconKeyboard, IconMovie, IconTestPipe } from '@tabler/icons-react';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { problemText } from '../../api/problem';
import type { SourceForm } from '../../api/types';
import type { DeskState } from './useDesk';
import { VideoDialog } from './VideoDialog';

/** Long enough to read why, with half an eye. */
const READ_MS = 10_000;

interface Props {
  desk: DeskState;
  /** Opens the list of keys; absent where no keys are. */
  onHelp?: () => void;
  /** What one presses to open the menu. */
  children: ReactNode;
}

export function SourceMenu({ desk, onHelp, children }: Props) {
  const { t } = useTranslation();
  const [isPicking, setIsPicking] = useState(false);
  const { may, actions } = desk;
  const isIdle = may.play.ok && !actions.source.isPending;
  const put = (source: SourceForm) =>
    actions.source.mutate(source, {
      onError: (error) =>
        notifications.show({
          color: 'air',
          autoClose: READ_MS,
          message: t('lesson.source.failed', { why: problemText(t, error) }),
        }),
    });
  return (
    <>
      <Menu position="top-end" shadow="md" width={260}>
        <Menu.Target>{children}</Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{may.play.ok ? t('lesson.source.title') : may.play.reason}</Menu.Label>
          <Menu.Item
            disabled={!isIdle}
            leftSection={<IconMovie size={18} aria-hidden />}
            onClick={() => setIsPicking(true)}
          >
            {t('lesson.source.video')}
          </Menu.Item>
          <Menu.Item
            disabled={!isIdle}
            leftSection={<IconDeviceTv size={18} aria-hidden />}
            onClick={() => put({ kind: 'capture' })}
          >
            {t('lesson.source.capture')}
          </Menu.Item>
          <Menu.Item
            disabled={!isIdle}
            leftSection={<IconTestPipe size={18} aria-hidden />}
            onClick={() => put({ kind: 'test' })}
          >
            {t('lesson.source.test')}
          </Menu.Item>
          {onHelp !== undefined && (
            <>
              <Menu.Divider />
              <Menu.Item leftSection={<IconKeyboard size={18} aria-hidden />} onClick={onHelp}>
                {t('lesson.keys_title')}
              </Menu.Item>
            </>
          )}
        </Menu.Dropdown>
      </Menu>
      {isPicking && <VideoDialog desk={desk} onClose={() => setIsPicking(false)} />}
    </>
  );
}
