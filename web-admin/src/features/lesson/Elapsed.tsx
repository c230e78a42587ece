import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { boxNow, formatElapsed } from '../../lib/time';

/** How long the lesson has been on. Alone, so that a second's tick redraws nothing else. */
export function Elapsed({ since }: { since: number }) {
  const { t } = useTranslation();
  const [now, setNow] = useState(boxNow);
  useEffect(() => {
    const timer = setInterval(() => setNow(boxNow()), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span role="timer" aria-label={t('lesson.elapsed')}>
      {formatElapsed(now - since)}
    </span>
  );
}
