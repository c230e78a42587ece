/**
 * The blackboard: what the class sees now, and in large letters when that is not the live picture.
 *
 * It is live where the browser plays it, and otherwise a small picture every few seconds. So it is
 * too while this very tab shares the whole screen: a moving picture of itself, within itself, would
 * have no end.
 */
import { Button } from '@mantine/core';
import {
  IconMovie,
  IconPlayerPause,
  IconScreenShare,
  IconScreenShareOff,
} from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { problemText } from '../../api/problem';
import { VerdictButton } from '../../ui/VerdictButton';
import { VideoSurface } from '../../ui/watch/MediaSurface';
import { showingQuery } from '../../ui/watch/queries';
import { useViewer } from '../../ui/watch/useViewer';
import { blockingLimit } from './media/capture';
import { studio } from './media/studio';
import { SourceMenu } from './SourceMenu';
import classes from './Stage.module.css';
import type { DeskState } from './useDesk';
import { usePreview } from './usePreview';

export function Stage({ desk }: { desk: DeskState }) {
  const { lamp, lesson, stream, studio: own } = desk;
  const isOnAir = lamp !== 'off';
  const hasScreen = stream.publications.some((publication) => publication.kind === 'screen');
  const preview = usePreview(lesson.id, hasScreen);
  const isMirror = own.screen?.surface === 'whole_screen';
  const { data: showing } = useQuery({ ...showingQuery(lesson.id), enabled: hasScreen });
  const isLive = hasScreen && !isMirror;
  const watching = useViewer({ lessonId: lesson.id, isWanted: isLive, hasSound: false, showing });
  const [livePicture, setLivePicture] = useState<MediaStream | null>(null);
  const isShown = isLive && livePicture !== null && livePicture === watching.screen;
  const { t } = useTranslation();

  return (
    <div className={classes.stage} data-lamp={lamp}>
      {isOnAir && isLive && watching.screen !== null && (
        <VideoSurface
          className={classes.picture}
          stream={watching.screen}
          isMuted
          label={t('lesson.preview')}
          onPicture={() => setLivePicture(watching.screen)}
        />
      )}
      {isOnAir && !isShown && preview !== null && (
        <img className={classes.picture} src={preview} alt={t('lesson.preview')} />
      )}
      {own.screen?.phase === 'refused' ? (
        <Refused problem={own.screen.problem} />
      ) : (
        <Overlay desk={desk} />
      )}
    </div>
  );
}

function Overlay({ desk }: { desk: DeskState }) {
  const { t } = useTranslation();
  switch (desk.lamp) {
    case 'live':
      return null;
    case 'off':
      return <Invitation desk={desk} />;
    case 'going':
      return <Words title={t('lesson.going_title')} about={t('lesson.going_about')} />;
    case 'away':
      return <Words title={t('lesson.away_title')} about={t('lesson.away_about')} />;
    case 'blank':
      return (
        <Words
          icon={<IconScreenShareOff size={44} stroke={1.5} aria-hidden />}
          title={t('lesson.blank_title')}
          about={t('lesson.blank_about')}
        />
      );
    case 'frozen':
      return (
        <Words
          icon={<IconPlayerPause size={44} stroke={1.5} aria-hidden />}
          title={t('lesson.frozen_title')}
          about={t('lesson.frozen_about')}
        />
      );
  }
}

/** Nothing is on air: one button, and what this browser will not give, said beforehand. */
function Invitation({ desk }: { desk: DeskState }) {
  const { t } = useTranslation();
  const { limits, may } = desk;
  const { fault } = desk.studio;
  return (
    <div className={classes.words}>
      <div className={classes.title}>
        {may.takeOver.ok
          ? t('lesson.held_by', { teacher: desk.lesson.teacher_name })
          : t('lesson.off_title')}
      </div>
      {blockingLimit(limits) !== null ? (
        may.play.ok && (
          // A phone shows no screen of its own, but it can put on air what the box has.
          <SourceMenu desk={desk}>
            <Button size="lg" leftSection={<IconMovie size={22} aria-hidden />}>
              {t('lesson.source.something')}
            </Button>
          </SourceMenu>
        )
      ) : (
        <VerdictButton
          size="xl"
          verdict={may.share}
          leftSection={<IconScreenShare size={24} aria-hidden />}
          onClick={() => void studio.shareScreen(desk.lesson, desk.stream.limits)}
        >
          {t('lesson.share')}
        </VerdictButton>
      )}
      {fault === 'capture_failed' && (
        <p className={classes.fault}>{t('lesson.fault.capture_failed')}</p>
      )}
      <ul className={classes.limits}>
        {limits.map((limit) => (
          <li key={limit}>{t(`lesson.limit.${limit}`)}</li>
        ))}
      </ul>
    </div>
  );
}

function Refused({ problem }: { problem: unknown }) {
  const { t } = useTranslation();
  return (
    <div className={classes.words} role="alert">
      <div className={classes.title}>{t('lesson.refused_title')}</div>
      <p className={classes.about}>{problemText(t, problem)}</p>
      <Button size="md" onClick={() => studio.again('screen')}>
        {t('lesson.again')}
      </Button>
    </div>
  );
}

interface WordsProps {
  icon?: ReactNode;
  title: string;
  about: string;
}

function Words({ icon, title, about }: WordsProps) {
  return (
    <div className={classes.words} role="status">
      {icon}
      <div className={classes.title}>{title}</div>
      <p className={classes.about}>{about}</p>
    </div>
  );
}
