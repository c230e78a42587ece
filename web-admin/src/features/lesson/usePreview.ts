/**
 * The newest picture that the box made of what is on air.
 *
 * The next one is loaded before it is shown, so the picture never blinks; a box that has none yet
 * (404) just leaves the stage as it is.
 */
import { useEffect, useState } from 'react';

import { onLiveEvent } from '../../api/liveBox';
import { files } from '../../lib/paths';

export function usePreview(lessonId: string, isWanted: boolean): string | null {
  const [shown, setShown] = useState<string | null>(null);

  useEffect(() => {
    if (!isWanted) return undefined;
    let isCurrent = true;
    let version = Date.now();
    const load = () => {
      version += 1;
      const picture = new Image();
      picture.src = files.preview(lessonId, version);
      picture.decode().then(
        () => isCurrent && setShown(picture.src),
        () => {},
      );
    };
    load();
    const stopHearing = onLiveEvent((event) => {
      if (event.type === 'preview_changed' && event.lesson_id === lessonId) load();
    });
    return () => {
      isCurrent = false;
      stopHearing();
      setShown(null);
    };
  }, [lessonId, isWanted]);

  return shown;
}
