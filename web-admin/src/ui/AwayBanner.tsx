/**
 * One calm line while the box is away. It waits a moment before it shows: a restart that nobody
 * would have noticed is not news.
 */
import { IconPlugConnectedX } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { linkState } from '../api/liveBox';
import { useStore } from '../lib/store';
import classes from './AwayBanner.module.css';

const PATIENCE_MS = 1200;

export function AwayBanner() {
  const { t } = useTranslation();
  const link = useStore(linkState);
  const isAway = link === 'down';
  const [isShown, setIsShown] = useState(false);

  useEffect(() => {
    // `opening` belongs to neither side: the banner stays as it is until the box says hello.
    if (link === 'up' || link === 'off') setIsShown(false);
    if (!isAway) return undefined;
    const timer = setTimeout(() => setIsShown(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [link, isAway]);

  if (!isShown) return null;
  return (
    <div className={classes.banner} role="status">
      <IconPlugConnectedX size={18} aria-hidden />
      {t('ui.away')}
    </div>
  );
}
