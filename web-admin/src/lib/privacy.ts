/**
 * Whether this computer's whole screen is on air, and with it whatever a page shows.
 *
 * While it is, names of students, attendance and secrets stand on no page of ours. The rule must
 * hold in every tab of the browser, for the class sees them all: the tab that shares holds a Web
 * Lock, and the others wait for its end. A lock ends with its tab, so a crash uncovers nothing too
 * early and nothing too late.
 */
import { createStore } from './store';

/** What is on air from this browser. A screen's kind that the browser hides counts as the whole. */
export type Surface = 'whole_screen' | 'window' | 'tab';

/** `true` while nothing private may be shown here. */
export const isCovered = createStore(false);

const LOCK = 'alfarid.whole-screen';
const CHANNEL = 'alfarid.privacy';

/** What the browser says was picked; Firefox says nothing, and the careful answer is the whole. */
export function surfaceOf(displaySurface: string | undefined): Surface {
  if (displaySurface === 'window') return 'window';
  if (displaySurface === 'browser') return 'tab';
  return 'whole_screen';
}

let release: (() => void) | null = null;

/** Says what this tab has on air; `null` when nothing. */
export function announceSurface(surface: Surface | null): void {
  if (surface === 'whole_screen') cover();
  else uncover();
}

function cover(): void {
  isCovered.set(true);
  if (release !== null) return;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  if (!canLock()) return;
  void navigator.locks.request(LOCK, async () => {
    tellOthers();
    await released;
  });
}

function uncover(): void {
  release?.();
  release = null;
  isCovered.set(false);
}

/** Follows the other tabs of this browser. Called once, at the start of the page. */
export function watchOtherTabs(): void {
  if (!canLock()) return;
  const waitForEnd = () => {
    if (release !== null) return;
    isCovered.set(true);
    void navigator.locks.request(LOCK, { mode: 'shared' }, () => isCovered.set(release !== null));
  };
  new BroadcastChannel(CHANNEL).onmessage = waitForEnd;
  void navigator.locks.query().then(({ held }) => {
    if (held?.some((lock) => lock.name === LOCK)) waitForEnd();
  });
}

function tellOthers(): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage('whole_screen');
  channel.close();
}

/** Without a secure context there are no locks, and no screen to share either. */
function canLock(): boolean {
  return 'locks' in navigator && 'BroadcastChannel' in globalThis;
}
