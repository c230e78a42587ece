/** How the picture arrives, in plain words: all is well in one line, what is not by name. */
import { Select } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { MachineStream, PublicationState } from '../../api/types';
import { byName, megabits } from '../../lib/units';
import classes from './Cards.module.css';
import { needsLook, summarize } from './machineWords';
import { RefusedNote } from './RefusedNote';
import { RungList } from './RungList';
import type { DeskState } from './useDesk';

export function PictureCard({ desk }: { desk: DeskState }) {
  const { t, i18n } = useTranslation();
  const { stream, lamp } = desk;
  const summary = summarize(stream.machines, byName(i18n.language));
  const screen = stream.publications.find(({ kind }) => kind === 'screen');
  const isRunning = lamp === 'live' || lamp === 'blank' || lamp === 'frozen';

  return (
    <section className={classes.card} aria-label={t('lesson.picture')}>
      <header className={classes.head}>
        <h2 className={classes.title}>{t('lesson.picture')}</h2>
        <QualitySelect desk={desk} />
      </header>
      <p className={classes.summary}>
        {summary.on === 0 && t('lesson.machines_none')}
        {summary.on > 0 &&
          (isRunning
            ? t('lesson.machines_showing', { count: summary.on, showing: summary.showing })
            : t('lesson.machines_ready', { count: summary.on }))}
      </p>
      {screen !== undefined && <Facts screen={screen} />}
      {isRunning && (
        <ul className={classes.machines}>
          {summary.machines.filter(needsLook).map((machine) => (
            <MachineChip key={machine.machine_id} machine={machine} isRunning />
          ))}
        </ul>
      )}
      {isRunning && <RungList stream={stream} />}
      {isRunning && <RefusedNote stream={stream} />}
      {summary.machines.length > 0 && (
        <details className={classes.all}>
          <summary>{t('lesson.machines_all')}</summary>
          <ul className={classes.machines}>
            {summary.machines.map((machine) => (
              <MachineChip key={machine.machine_id} machine={machine} isRunning={isRunning} />
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

function Facts({ screen }: { screen: PublicationState }) {
  const { t, i18n } = useTranslation();
  return (
    <div className={classes.facts}>
      {screen.width != null && screen.height != null && (
        <span>{t('lesson.size', { width: screen.width, height: screen.height })}</span>
      )}
      <span>{t('lesson.fps', { fps: Math.round(screen.fps) })}</span>
      <span>{t('lesson.bitrate', { mbps: megabits(i18n.language, screen.bitrate_bps) })}</span>
      {screen.codec_video != null && <span>{screen.codec_video.toUpperCase()}</span>}
    </div>
  );
}

function MachineChip({ machine, isRunning }: { machine: MachineStream; isRunning: boolean }) {
  const { t } = useTranslation();
  const isWorthWords = isRunning && needsLook(machine);
  const { cause, state } = machine;
  const words = cause == null ? t(`lesson.machine.${state}`) : t(`lesson.cause.${cause}`);
  return (
    <li
      className={classes.machine}
      data-state={machine.state}
      data-look={isWorthWords || undefined}
    >
      {isWorthWords
        ? t('lesson.machine_trouble', { name: machine.name, what: words })
        : machine.name}
    </li>
  );
}

function QualitySelect({ desk }: { desk: DeskState }) {
  const { t } = useTranslation();
  const { lesson, may, actions } = desk;
  return (
    <Select
      size="xs"
      w={140}
      aria-label={t('lesson.quality')}
      disabled={!may.record.ok}
      value={lesson.quality_pinned ? lesson.quality_profile : 'auto'}
      data={[
        { value: 'auto', label: t('lesson.quality_auto') },
        { value: 'small', label: t('lesson.quality_small') },
        { value: 'medium', label: t('lesson.quality_medium') },
        { value: 'large', label: t('lesson.quality_large') },
      ]}
      onChange={(value) => {
        const isPinned = value === 'small' || value === 'medium' || value === 'large';
        actions.change.mutate({ quality_profile: isPinned ? value : null });
      }}
    />
  );
}
