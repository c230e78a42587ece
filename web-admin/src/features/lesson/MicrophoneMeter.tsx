import { useTranslation } from 'react-i18next';

import { useStore } from '../../lib/store';
import classes from './Console.module.css';
import type { LevelMeter } from './media/level';

/** How loud one is, or the plain words that nothing is heard. */
export function MicrophoneMeter({ meter, isMuted }: { meter: LevelMeter; isMuted: boolean }) {
  const { t } = useTranslation();
  const { loudness, isSilent } = useStore(meter.level);
  if (isSilent && !isMuted) {
    return (
      <span className={classes.silent} role="alert">
        {t('lesson.silent')}
      </span>
    );
  }
  const percent = Math.round(loudness * 100);
  return (
    <span
      className={classes.meter}
      role="meter"
      aria-label={t('lesson.level')}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
    >
      <span className={classes.meterFill} style={{ clipPath: `inset(0 ${100 - percent}% 0 0)` }} />
    </span>
  );
}
