import { ActionIcon, Button, Select, Slider } from '@mantine/core';
import { IconMaximize, IconPlayerPauseFilled, IconPlayerPlayFilled } from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import type { Recording } from '../../../api/types';
import { useStore } from '../../../lib/store';
import { formatElapsed } from '../../../lib/time';
import type { PlayerClock } from '../../../ui/playback/clock';
import { durationMs } from '../../../ui/playback/timeline';
import classes from './Player.module.css';

const SPEEDS = ['1', '1.25', '1.5', '2'];
/** The newest fragment may still be on its way to the disk: stay a little behind it. */
const BEHIND_END_MS = 3000;

interface Props {
  clock: PlayerClock;
  recording: Recording;
  onFullScreen: () => void;
}

export function Controls({ clock, recording, onFullScreen }: Props) {
  const { t } = useTranslation();
  const { positionMs, isPlaying, speed } = useStore(clock.playback);
  const endMs = durationMs(recording);
  return (
    <div className={classes.controls}>
      <ActionIcon
        size="xl"
        radius="xl"
        aria-label={isPlaying ? t('recording.pause') : t('recording.play')}
        onClick={() => clock.toggle()}
      >
        {isPlaying ? (
          <IconPlayerPauseFilled size={20} aria-hidden />
        ) : (
          <IconPlayerPlayFilled size={20} aria-hidden />
        )}
      </ActionIcon>
      <span className={classes.time}>
        {formatElapsed(positionMs)} / {formatElapsed(endMs)}
      </span>
      <Slider
        className={classes.slider}
        thumbLabel={t('recording.position')}
        label={formatElapsed}
        min={0}
        max={Math.max(1000, endMs)}
        step={1000}
        value={positionMs}
        onChange={(value) => clock.seek(value)}
      />
      {recording.status === 'recording' && (
        <Button
          variant="light"
          color="air"
          size="compact-md"
          onClick={() => clock.seek(Math.max(0, endMs - BEHIND_END_MS))}
        >
          {t('recording.to_now')}
        </Button>
      )}
      <Select
        size="xs"
        w={86}
        aria-label={t('recording.speed')}
        data={SPEEDS.map((value) => ({ value, label: t('recording.times', { value }) }))}
        value={String(speed)}
        onChange={(value) => clock.setSpeed(Number(value))}
      />
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label={t('recording.full_screen')}
        onClick={onFullScreen}
      >
        <IconMaximize size={20} aria-hidden />
      </ActionIcon>
    </div>
  );
}
