/** What a component watches, from when it is there to when it goes. */
import { useEffect, useState } from 'react';

import { after, linkState } from '../../api/liveBox';
import type { LessonShowing } from '../../api/types';
import { createStore, useStore } from '../../lib/store';
import { Viewer, type Watching } from './viewer';

const NOTHING = createStore<Watching>({
  phase: 'stopped',
  problem: null,
  screen: null,
  voice: null,
});

interface Wish {
  lessonId: string;
  isWanted: boolean;
  hasSound: boolean;
  /** What the box said last; `undefined` until it has. */
  showing: LessonShowing | undefined;
}

export interface Viewed extends Watching {
  watchHere: () => void;
}

export function useViewer({ lessonId, isWanted, hasSound, showing }: Wish): Viewed {
  const [viewer, setViewer] = useState<Viewer | null>(null);
  const isInReach = useStore(linkState) === 'up';

  useEffect(() => {
    if (!isWanted) return undefined;
    const made = new Viewer({ lessonId, hasSound, after });
    made.start();
    // A call is dialled once the component is on the page, and not while it is drawn.
    // oxlint-disable-next-line react/set-state-in-effect
    setViewer(made);
    return () => {
      made.stop();
      setViewer(null);
    };
  }, [lessonId, isWanted, hasSound]);

  useEffect(() => {
    if (showing !== undefined) viewer?.follow(showing);
  }, [viewer, showing]);
  // What was refused may be taken now: the box is back.
  useEffect(() => {
    if (isInReach) viewer?.again();
  }, [viewer, isInReach]);

  return {
    ...useStore(viewer?.state ?? NOTHING),
    watchHere: () => viewer?.watchHere(),
  };
}
