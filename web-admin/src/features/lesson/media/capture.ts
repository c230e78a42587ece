/**
 * Asking the browser for the screen and the microphone, and knowing beforehand what it will not
 * give.
 */
import { captureBounds, type Quality } from './quality';

/** Things to say before anybody presses "share", each a key of the catalogue. */
export type Limit =
  | 'insecure_context'
  | 'no_screen_capture'
  | 'no_screen_sound_linux'
  | 'no_sound_in_browser'
  | 'vp8_only';

export type BlockingLimit = Extract<Limit, 'insecure_context' | 'no_screen_capture'>;

/** What can be known about a browser without asking a person. */
export interface Browser {
  isSecureContext: boolean;
  hasScreenCapture: boolean;
  isLinux: boolean;
  isFirefox: boolean;
  isSafari: boolean;
  hasH264: boolean;
}

export function browserLimits(browser: Browser): Limit[] {
  // Without a secure context there is no capture at all, and nothing else matters.
  if (!browser.isSecureContext) return ['insecure_context'];
  if (!browser.hasScreenCapture) return ['no_screen_capture'];
  const limits: Limit[] = [];
  if (browser.isFirefox || browser.isSafari) limits.push('no_sound_in_browser');
  else if (browser.isLinux) limits.push('no_screen_sound_linux');
  if (!browser.hasH264) limits.push('vp8_only');
  return limits;
}

/** The limit that leaves nothing to share, if there is one. */
export function blockingLimit(limits: readonly Limit[]): BlockingLimit | null {
  if (limits.includes('insecure_context')) return 'insecure_context';
  return limits.includes('no_screen_capture') ? 'no_screen_capture' : null;
}

export function thisBrowser(): Browser {
  const agent = navigator.userAgent;
  return {
    isSecureContext: globalThis.isSecureContext,
    hasScreenCapture: 'mediaDevices' in navigator && 'getDisplayMedia' in navigator.mediaDevices,
    isLinux: /Linux|CrOS/.test(agent) && !/Android/.test(agent),
    isFirefox: /Firefox\//.test(agent),
    isSafari: /^((?!Chrome|Chromium|Android).)*Safari/.test(agent),
    hasH264: sendsH264(agent),
  };
}

function sendsH264(agent: string): boolean {
  // Firefox lists H.264 but fetches it from the Internet, which a classroom may not have.
  if (/Firefox\//.test(agent) || !('RTCRtpSender' in globalThis)) return false;
  const codecs = RTCRtpSender.getCapabilities('video')?.codecs ?? [];
  return codecs.some((codec) => codec.mimeType.toLowerCase() === 'video/h264');
}

/** The person closed the browser's own picker: not a fault. */
export function isDeclined(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'NotAllowedError';
}

/** No microphone is plugged in. */
export function isMissing(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'NotFoundError';
}

/** The choices that Chromium knows and the DOM's types do not yet. */
interface ScreenOptions extends DisplayMediaStreamOptions {
  /** This very page in its own picture is of no use to anybody. */
  selfBrowserSurface: 'exclude';
  surfaceSwitching: 'include';
  systemAudio: 'include';
  monitorTypeSurfaces: 'include';
}

/** Opens the browser's picker. Rejects when the person declines. */
export async function captureScreen(quality: Quality | undefined): Promise<MediaStream> {
  const options: ScreenOptions = {
    video: captureBounds(quality),
    // Sound of the computer: as it is, without the filters that are made for voices.
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    selfBrowserSurface: 'exclude',
    surfaceSwitching: 'include',
    systemAudio: 'include',
    monitorTypeSurfaces: 'include',
  };
  const stream = await navigator.mediaDevices.getDisplayMedia(options);
  // Text must stay sharp; frames may go.
  for (const track of stream.getVideoTracks()) track.contentHint = 'detail';
  for (const track of stream.getAudioTracks()) track.contentHint = 'music';
  return stream;
}

export function captureMicrophone(): Promise<MediaStream> {
  return navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  });
}
