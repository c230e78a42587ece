/**
 * A lesson as a student watches it: the picture, what is said of it, and a button for the sound.
 *
 * The sound is off at first, for two reasons that agree: a browser lets no page sound unasked, and a
 * student in the classroom hears the teacher anyway, a moment before the loudspeaker would.
 */
import { ActionIcon, Button } from '@mantine/core';
import { IconMaximize, IconVolume, IconVolumeOff } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { linkState } from '../../api/liveBox';
import { problemText } from '../../api/problem';
import { useStore } from '../../lib/store';
import classes from './LessonPicture.module.css';
import { VideoSurface, VoiceSurface } from './MediaSurface';
import { showingQuery } from './queries';
import { RecentPicture } from './RecentPicture';
import { useViewer } from './useViewer';
import { isPutAway } from './viewer';
import { isNote, needsRecording, wordOf } from './words';

interface Props {
  lessonId: string;
  title: string;
}

export function LessonPicture({ lessonId, title }: Props) {
  const { t } = useTranslation();
  const frame = useRef<HTMLDivElement>(null);
  const link = useStore(linkState);
  const { data: showing } = useQuery(showingQuery(lessonId));
  const watching = useViewer({ lessonId, isWanted: true, hasSound: true, showing });
  const [hasPicture, setHasPicture] = useState(false);
  const [isMuted, setIsMuted] = useState(true);
  const word = wordOf({ watching, showing, link, hasPicture });
  const isByRecording = needsRecording(watching);
  const isOver = word !== null && isNote(word, hasPicture);
  const text = word === 'refused' ? problemText(t, watching.problem) : word && t(`watch.${word}`);

  return (
    <div className={classes.frame} ref={frame}>
      <div className={classes.screen} data-hidden={word !== null && !isOver}>
        {isByRecording ? (
          showing?.is_recorded === true && (
            <RecentPicture
              lessonId={lessonId}
              className={classes.video}
              isMuted={isMuted}
              label={title}
              onPicture={() => setHasPicture(true)}
            />
          )
        ) : (
          <>
            <VideoSurface
              className={classes.video}
              stream={watching.screen}
              isMuted={isMuted}
              label={title}
              onPicture={() => setHasPicture(true)}
            />
            <VoiceSurface stream={watching.voice} isMuted={isMuted} />
          </>
        )}
        {text !== null && (
          <Words isNote={isOver}>
            {text}
            {word === 'refused' && isPutAway(watching) && (
              <Button size="md" onClick={watching.watchHere}>
                {t('watch.here')}
              </Button>
            )}
          </Words>
        )}
      </div>
      <div className={classes.controls}>
        <Button
          variant={isMuted ? 'filled' : 'default'}
          leftSection={
            isMuted ? <IconVolume size={18} aria-hidden /> : <IconVolumeOff size={18} aria-hidden />
          }
          onClick={() => setIsMuted(!isMuted)}
        >
          {isMuted ? t('watch.sound_on') : t('watch.sound_off')}
        </Button>
        <span className={classes.about}>{isMuted && t('watch.sound_about')}</span>
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={t('watch.full_screen')}
          onClick={() => void frame.current?.requestFullscreen()}
        >
          <IconMaximize size={20} aria-hidden />
        </ActionIcon>
      </div>
    </div>
  );
}

function Words({ isNote: isUnder, children }: { isNote: boolean; children: ReactNode }) {
  return (
    <div className={isUnder ? classes.note : classes.words} role="status">
      {children}
    </div>
  );
}
