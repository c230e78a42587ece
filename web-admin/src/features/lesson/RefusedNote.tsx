/** Somebody in the room sends in the box's name, or in a machine's: nothing of it was taken. */
import { useTranslation } from 'react-i18next';

import type { StreamState } from '../../api/types';
import classes from './Cards.module.css';

export function RefusedNote({ stream }: { stream: StreamState }) {
  const { t } = useTranslation();
  const { by_machines = 0, forged = 0 } = stream.refused ?? {};
  if (by_machines + forged === 0) return null;
  return (
    <p className={classes.summary} role="status">
      {t('lesson.refused', { count: by_machines + forged })}
    </p>
  );
}
