import { Button, Switch } from '@mantine/core';
import { IconAlertTriangle, IconClockPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { formatTime } from '../../lib/time';
import { NavMenu } from '../../ui/NavMenu';
import { roomTitle } from '../../ui/roomTitle';
import { VerdictButton } from '../../ui/VerdictButton';
import classes from './DeskBar.module.css';
import { Elapsed } from './Elapsed';
import { EndDialog } from './EndDialog';
import { OpenRoomMark } from './OpenRoomMark';
import type { DeskState } from './useDesk';

const EXTEND_MINUTES = 15;

export function DeskBar({ desk }: { desk: DeskState }) {
  const { t, i18n } = useTranslation();
  const { lesson, lamp, may, actions } = desk;
  const [isEnding, setIsEnding] = useState(false);

  return (
    <header className={classes.bar}>
      <NavMenu />
      <div className={classes.title}>
        <h1 className={classes.class}>{lesson.class_name}</h1>
        <span className={classes.room}>{roomTitle(t, lesson.room_name)}</span>
      </div>
      <div className={classes.lamp} data-lamp={lamp} role="status">
        <span className={classes.bulb} aria-hidden />
        <span>{t(`lesson.lamp.${lamp}`)}</span>
        <Elapsed since={lesson.start_at} />
      </div>
      <div className={classes.space} />
      {lesson.ends_by_itself_at != null && (
        <div className={classes.endsItself} role="status">
          {t('lesson.ends_by_itself', {
            time: formatTime(i18n.language, lesson.ends_by_itself_at),
          })}
          <VerdictButton
            size="compact-sm"
            color="amber"
            variant="light"
            verdict={may.extend}
            loading={actions.extend.isPending}
            leftSection={<IconClockPlus size={16} aria-hidden />}
            onClick={() => actions.extend.mutate(EXTEND_MINUTES)}
          >
            {t('lesson.extend', { minutes: EXTEND_MINUTES })}
          </VerdictButton>
        </div>
      )}
      <OpenRoomMark roomId={lesson.room_id} />
      {lesson.recording_fault !== null && !lesson.is_recording && (
        <div className={classes.endsItself} role="alert">
          <IconAlertTriangle size={20} aria-hidden />
          {t('lesson.event.recording_lost', {
            why: t(`recording.fault.${lesson.recording_fault}`),
          })}
        </div>
      )}
      <Switch
        className={classes.record}
        data-on={lesson.is_recording || undefined}
        color="air"
        label={t(lesson.is_recording ? 'lesson.recording_on' : 'lesson.recording_off')}
        aria-label={t('lesson.recording')}
        checked={lesson.is_recording}
        disabled={!may.record.ok}
        onChange={(event) => actions.change.mutate({ is_recording: event.currentTarget.checked })}
      />
      {may.takeOver.ok ? (
        <Button loading={actions.takeOver.isPending} onClick={() => actions.takeOver.mutate()}>
          {t('lesson.take_over')}
        </Button>
      ) : (
        <VerdictButton
          variant="outline"
          color="air"
          verdict={may.end}
          onClick={() => setIsEnding(true)}
        >
          {t('lesson.end')}
        </VerdictButton>
      )}
      <EndDialog desk={desk} isOpen={isEnding} onClose={() => setIsEnding(false)} />
    </header>
  );
}
