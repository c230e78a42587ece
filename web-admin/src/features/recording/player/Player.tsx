/** A recording in the page: picture, voice and sound together, also while it is still growing. */
import { useMemo, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { Recording } from '../../../api/types';
import { useStore } from '../../../lib/store';
import type { PlayerClock } from '../../../ui/playback/clock';
import { Controls } from './Controls';
import classes from './Player.module.css';
import { unplayable, usePlayer } from './usePlayer';

export function Player({ recording }: { recording: Recording }) {
  const { t } = useTranslation();
  const picture = useRef<HTMLVideoElement>(null);
  const sound = useRef<HTMLAudioElement>(null);
  const voice = useRef<HTMLAudioElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const elements = useMemo(
    () => ({ screen_video: picture, screen_audio: sound, person_audio: voice }),
    [],
  );
  const clock = usePlayer(recording, elements);
  const refused = unplayable(recording);

  return (
    <div className={classes.player} ref={frame}>
      <div className={classes.screen}>
        <video ref={picture} className={classes.video} playsInline aria-label={recording.title} />
        <audio ref={sound} />
        <audio ref={voice} />
        {/* A click on the picture does what the button does; the keyboard has the button. */}
        <button
          type="button"
          className={classes.click}
          tabIndex={-1}
          aria-hidden
          onClick={() => clock?.toggle()}
        />
        {refused.length > 0 ? (
          <p className={classes.words}>{t('recording.unplayable', { what: refused.join(', ') })}</p>
        ) : (
          clock !== null && <Words clock={clock} />
        )}
      </div>
      {clock !== null && (
        <Controls
          clock={clock}
          recording={recording}
          onFullScreen={() => void frame.current?.requestFullscreen()}
        />
      )}
    </div>
  );
}

function Words({ clock }: { clock: PlayerClock }) {
  const { t } = useTranslation();
  const { isWaiting, hasPicture, isBroken } = useStore(clock.playback);
  if (isBroken) return <p className={classes.note}>{t('recording.broken')}</p>;
  if (isWaiting) return <p className={classes.words}>{t('ui.loading')}</p>;
  if (!hasPicture) return <p className={classes.words}>{t('recording.no_picture')}</p>;
  return null;
}
