/** The teacher's keys, each with its state in words and its letter on it. */
import {
  IconDots,
  IconMicrophone,
  IconMicrophoneOff,
  IconPlayerPause,
  IconPlayerStop,
  IconScreenShare,
  IconScreenShareOff,
  IconSquareOff,
} from '@tabler/icons-react';
import { useTranslation } from 'react-i18next';

import { problemText } from '../../api/problem';
import { ConsoleKey } from './ConsoleKey';
import classes from './Console.module.css';
import { hasOwnSource } from './lamp';
import { MicrophoneMeter } from './MicrophoneMeter';
import { studio } from './media/studio';
import { SourceMenu } from './SourceMenu';
import { type DeskState, togglePicture } from './useDesk';

interface Props {
  desk: DeskState;
  onHelp: () => void;
}

export function Console({ desk, onHelp }: Props) {
  const { t } = useTranslation();
  const { lesson, may, studio: own } = desk;
  return (
    <div className={classes.console}>
      <div className={classes.keys} role="toolbar" aria-label={t('lesson.console')}>
        {hasOwnSource(desk.stream) && (
          <ConsoleKey
            icon={<IconPlayerStop aria-hidden />}
            label={t('lesson.source.stop')}
            verdict={may.play}
            onPress={() => desk.actions.source.mutate({ kind: 'none' })}
          />
        )}
        {own.screen === null && desk.lamp !== 'off' && (
          // The picture comes from elsewhere (OBS, another device, a page before its reload).
          <ConsoleKey
            icon={<IconScreenShare aria-hidden />}
            label={t('lesson.share')}
            verdict={may.share}
            onPress={() => void studio.shareScreen(lesson, desk.stream.limits)}
          />
        )}
        {own.screen !== null && (
          <>
            <ConsoleKey
              icon={<IconScreenShareOff aria-hidden />}
              label={t('lesson.stop_sharing')}
              verdict={{ ok: true }}
              onPress={() => studio.stopScreen()}
            />
            <ConsoleKey
              icon={<IconScreenShare aria-hidden />}
              label={t('lesson.share_other')}
              verdict={may.share}
              onPress={() => void studio.shareScreen(lesson, desk.stream.limits)}
            />
          </>
        )}
        <VoiceKey desk={desk} />
        <ConsoleKey
          icon={<IconSquareOff aria-hidden />}
          label={t('lesson.blank')}
          letter="B"
          tone="blank"
          isOn={lesson.picture === 'blank'}
          verdict={may.changePicture}
          onPress={() => togglePicture(desk, 'blank')}
        />
        <ConsoleKey
          icon={<IconPlayerPause aria-hidden />}
          label={t('lesson.freeze')}
          letter="F"
          tone="frost"
          isOn={lesson.picture === 'frozen'}
          verdict={may.changePicture}
          onPress={() => togglePicture(desk, 'frozen')}
        />
        <SourceMenu desk={desk} onHelp={onHelp}>
          <button type="button" className={classes.more}>
            <IconDots size={22} aria-hidden />
            {t('lesson.more')}
          </button>
        </SourceMenu>
      </div>
      <Remarks desk={desk} />
    </div>
  );
}

function VoiceKey({ desk }: { desk: DeskState }) {
  const { t } = useTranslation();
  const { person } = desk.studio;
  if (person === null) {
    return (
      <ConsoleKey
        icon={<IconMicrophone aria-hidden />}
        label={t('lesson.speak')}
        verdict={desk.may.speak}
        onPress={() => void studio.speak(desk.lesson, desk.stream.limits)}
      />
    );
  }
  return (
    <ConsoleKey
      icon={person.isMuted ? <IconMicrophoneOff aria-hidden /> : <IconMicrophone aria-hidden />}
      label={person.isMuted ? t('lesson.unmute') : t('lesson.mute')}
      letter="M"
      tone="mute"
      isOn={person.isMuted}
      verdict={{ ok: true }}
      onPress={() => studio.toggleMute()}
    >
      <MicrophoneMeter meter={person.meter} isMuted={person.isMuted} />
    </ConsoleKey>
  );
}

/** What the keys cannot say: sound that is missing, a microphone that was refused. */
function Remarks({ desk }: { desk: DeskState }) {
  const { t } = useTranslation();
  const { screen, person, fault } = desk.studio;
  const { source, change } = desk.actions;
  const remarks: string[] = [];
  if (change.isError) remarks.push(problemText(t, change.error));
  if (source.isPending) remarks.push(t('lesson.source.starting'));
  if (screen !== null && !screen.hasSound) remarks.push(t('lesson.no_screen_sound'));
  // With nothing on air the stage says it, beside its button.
  const isSaidOnStage = fault === 'capture_failed' && desk.lamp === 'off';
  if (fault !== null && !isSaidOnStage) remarks.push(t(`lesson.fault.${fault}`));
  if (person?.phase === 'refused')
    remarks.push(t('lesson.voice_refused', { why: problemText(t, person.problem) }));
  if (person?.phase === 'waiting') remarks.push(t('lesson.voice_waiting'));
  if (remarks.length === 0) return null;
  return (
    <ul className={classes.remarks} role="status">
      {remarks.map((remark) => (
        <li key={remark}>{remark}</li>
      ))}
    </ul>
  );
}
