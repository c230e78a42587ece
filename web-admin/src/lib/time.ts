/**
 * Times as people read them, by the box's clock.
 *
 * The box and the browser may disagree by years. Everything the box says is in its own time, so
 * "how long ago" is counted from the box's now, which it tells at each `hello`.
 */
let boxAheadMs = 0;

/** Remembers what the box's clock said just now. */
export function learnBoxTime(now: number): void {
  boxAheadMs = now - Date.now();
}

/** The box's time, unix milliseconds. */
export function boxNow(): number {
  return Date.now() + boxAheadMs;
}

/** Whether both are on one day of the reader's calendar. */
export function isSameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

/** `1:02:03` or `12:34`. */
export function formatElapsed(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((n) =>
    String(n).padStart(2, '0'),
  );
  const hours = Math.floor(seconds / 3600);
  const [minutes, rest] = parts;
  return hours > 0 ? `${hours}:${minutes}:${rest}` : `${Number(minutes)}:${rest}`;
}

export function formatTime(language: string, at: number): string {
  return new Intl.DateTimeFormat(language, {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at);
}

export function formatDate(language: string, at: number): string {
  return new Intl.DateTimeFormat(language, { day: 'numeric', month: 'long' }).format(at);
}

export function formatDateTime(language: string, at: number): string {
  return new Intl.DateTimeFormat(language, {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at);
}
