/**
 * The frame of every page but the desk: places on top, the person on the right, and the way back
 * to what is on air.
 */
import { type ReactNode, Suspense } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, NavLink, Outlet } from 'react-router';

import { useBoxState, useIsAdmin } from './api/session';
import { studio } from './features/lesson/media/studio';
import { PersonMenu } from './features/session/PersonMenu';
import { paths } from './lib/paths';
import { useStore } from './lib/store';
import classes from './Shell.module.css';
import { Brand } from './ui/Brand';
import { NavMenu } from './ui/NavMenu';
import { PLACES } from './ui/navigation';
import { Waiting } from './ui/Waiting';

/** Without children it shows the route inside. */
export function Shell({ children }: { children?: ReactNode }) {
  const { t } = useTranslation();
  const state = useBoxState();
  const isAdmin = useIsAdmin();
  return (
    <div className={classes.shell}>
      <header className={classes.top}>
        <div className={classes.burger}>
          <NavMenu />
        </div>
        <Link to={paths.home} className={classes.brand}>
          <Brand name={state.site_name ?? 'Alfarid'} />
        </Link>
        <nav className={classes.places} aria-label={t('nav.menu')}>
          {PLACES.filter((place) => isAdmin || !place.isForAdmins).map(({ key, to }) => (
            <NavLink key={key} to={to} end={to === paths.home} className={classes.place ?? ''}>
              {t(`nav.${key}`)}
              {key === 'health' && state.faults.length > 0 && (
                <span className={classes.faults}>{state.faults.length}</span>
              )}
            </NavLink>
          ))}
        </nav>
        <OnAirLink />
        <PersonMenu />
      </header>
      <main className={classes.main}>
        <Suspense fallback={<Waiting />}>{children ?? <Outlet />}</Suspense>
      </main>
    </div>
  );
}

/** This tab has something on air: it must not be forgotten on another page. */
function OnAirLink() {
  const { t } = useTranslation();
  const { lessonId, screen, person } = useStore(studio.state);
  if (lessonId === null || (screen === null && person === null)) return null;
  return (
    <Link to={paths.lesson(lessonId)} className={classes.onAir}>
      {t('nav.on_air')}
    </Link>
  );
}
