import { IconEyeOff } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { isCovered } from '../lib/privacy';
import { useStore } from '../lib/store';
import classes from './Covered.module.css';

/** In the place of what the class must not read while it sees the whole screen. No peeking. */
export function Covered() {
  const { t } = useTranslation();
  return (
    <div className={classes.covered}>
      <IconEyeOff size={30} stroke={1.5} aria-hidden />
      <span>{t('ui.covered')}</span>
    </div>
  );
}

/** Shows its children only while nobody else sees this screen. */
export function Private({ children }: { children: ReactNode }) {
  return useStore(isCovered) ? <Covered /> : children;
}
