import { useEffect, useState } from 'react';

import { boxNow } from '../../lib/time';

const EVERY_MS = 30_000;

/** The box's time, fresh enough for "planned for now". A page may stay open from lesson to lesson. */
export function useNow(): number {
  const [now, setNow] = useState(boxNow);
  useEffect(() => {
    const timer = setInterval(() => setNow(boxNow()), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
