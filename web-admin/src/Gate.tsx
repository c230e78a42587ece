/**
 * The doors: a box that nobody has claimed, a person whom it does not know, and a student, who has
 * one page and no other.
 *
 * Behind them the live link is open, and the banner says when the box is away.
 */
import { Suspense, useEffect } from 'react';
import { Navigate, Outlet, useLocation } from 'react-router';

import { startLive } from './api/liveBox';
import { useBoxState } from './api/session';
import { doorOf } from './doors';
import { EncoderWatch } from './features/lesson/EncoderWatch';
import { currentLanguage, speak } from './i18n';
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
  const isSignedIn = state.claimed && (session !== null || state.student != null);

  useEffect(() => learnBoxTime(state.clock.now), [state.clock.now]);
  useEffect(() => {
    if (session !== null && session.language !== currentLanguage()) speak(session.language);
  }, [session]);
  useEffect(() => (isSignedIn ? startLive() : undefined), [isSignedIn]);

  const other = doorOf(state, pathname);
  if (other !== null) return <Navigate to={other} replace />;
  return (
    <>
      <AwayBanner />
      {session !== null && <EncoderWatch />}
      <Suspense fallback={<Waiting />}>
        <Outlet />
      </Suspense>
    </>
  );
}
