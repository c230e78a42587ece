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
  const isFine = link === 'up' || link === 'off';
  const [isPatienceOver, setIsPatienceOver] = useState(false);

  useEffect(() => {
    if (isFine) return undefined;
    const timer = setTimeout(() => setIsPatienceOver(true), PATIENCE_MS);
    return () => {
      clearTimeout(timer);
      setIsPatienceOver(false);
    };
  }, [isFine]);

  if (isFine || !isPatienceOver) return null;
  return (
    <div className={classes.banner} role="status">
      <IconPlugConnectedX size={18} aria-hidden />
      {t('ui.away')}
    </div>
  );
}
