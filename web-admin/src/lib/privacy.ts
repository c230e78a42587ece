/**
 * Whether a whole screen of this person is on air, and with it whatever a page shows.
 *
 * While it is, names of students, attendance and secrets stand on no page of ours. It is on air
 * from this tab; or from another tab of this browser; or from a program like OBS, of which only the
 * box can tell, and which may run on this computer.
 *
 * The rule must hold in every tab, for the class sees them all: a tab that shares holds a Web Lock,
 * and the others wait for its end. A lock ends with its tab, so a crash uncovers nothing too early
 * and nothing too late.
 */
import { createStore } from './store';

/** What is on air from this browser. A screen's kind that the browser hides counts as the whole. */
export type Surface = 'whole_screen' | 'window' | 'tab';

/** `true` while nothing private may be shown here. */
export const isCovered = createStore(false);

const LOCK = 'alfarid.whole-screen';
const CHANNEL = 'alfarid.privacy';

/** Ends this tab's own hold; `null` while it has no whole screen on air. */
let release: (() => void) | null = null;
/** Waits for the ends of other tabs' holds. */
let awaited = 0;
let isEncoderOnAir = false;

/** What the browser says was picked; Firefox says nothing, and the careful answer is the whole. */
export function surfaceOf(displaySurface: string | undefined): Surface {
  if (displaySurface === 'window') return 'window';
  if (displaySurface === 'browser') return 'tab';
  return 'whole_screen';
}

/** Says what this tab has on air; `null` when nothing. */
export function announceSurface(surface: Surface | null): void {
  if (surface === 'whole_screen') hold();
  else letGo();
  judge();
}

/** Says whether a program of this person sends their screen, as the box knows. */
export function announceEncoder(isOnAir: boolean): void {
  isEncoderOnAir = isOnAir;
  judge();
}

/** Follows the other tabs of this browser. Called once, at the start of the page. */
export function watchOtherTabs(): void {
  if (!canLock()) return;
  new BroadcastChannel(CHANNEL).onmessage = () => void waitForEnd();
  void navigator.locks.query().then(({ held }) => {
    if (held?.some((lock) => lock.name === LOCK)) void waitForEnd();
  });
}

function judge(): void {
  isCovered.set(release !== null || awaited > 0 || isEncoderOnAir);
}

function hold(): void {
  if (release !== null) return;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  if (!canLock()) return;
  void navigator.locks.request(LOCK, async () => {
    tellOthers();
    await released;
  });
  // Another tab may hold it still: the rest must not uncover between its end and our turn.
  tellOthers();
}

function letGo(): void {
  release?.();
  release = null;
}

/** Whoever waits is let in only when every hold that was asked for before has ended. */
async function waitForEnd(): Promise<void> {
  awaited += 1;
  judge();
  await navigator.locks.request(LOCK, { mode: 'shared' }, () => {});
  awaited -= 1;
  judge();
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
