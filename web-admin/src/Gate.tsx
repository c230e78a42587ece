/**
 * The two doors: a box that nobody has claimed, and a person whom it does not know.
 *
 * Behind them the live link is open, and the banner says when the box is away.
 */
import { Suspense, useEffect } from 'react';
import { Navigate, Outlet, useLocation } from 'react-router';

import { startLive } from './api/liveBox';
import { useBoxState } from './api/session';
import { EncoderWatch } from './features/lesson/EncoderWatch';
import { currentLanguage, speak } from './i18n';
import { paths } from './lib/paths';
import { learnBoxTime } from './lib/time';
import { AwayBanner } from './ui/AwayBanner';
import { Waiting } from './ui/Waiting';

export function Gate() {
  return (
    <Suspense fallback={<Waiting />}>
      <Doors />
    </Suspense>
  );
}

function Doors() {
  const state = useBoxState();
  const { pathname } = useLocation();
  const session = state.session ?? null;
  const isSignedIn = state.claimed && session !== null;

  useEffect(() => learnBoxTime(state.clock.now), [state.clock.now]);
  useEffect(() => {
    if (session !== null && session.language !== currentLanguage()) speak(session.language);
  }, [session]);
  useEffect(() => (isSignedIn ? startLive() : undefined), [isSignedIn]);

  if (!state.claimed && pathname !== paths.claim) return <Navigate to={paths.claim} replace />;
  if (state.claimed && !isSignedIn && pathname !== paths.login) {
    return <Navigate to={paths.login} replace state={{ from: pathname }} />;
  }
  if (isSignedIn && (pathname === paths.claim || pathname === paths.login)) {
    return <Navigate to={paths.home} replace />;
  }
  return (
    <>
      <AwayBanner />
      {isSignedIn && <EncoderWatch />}
      <Suspense fallback={<Waiting />}>
        <Outlet />
      </Suspense>
    </>
  );
}
