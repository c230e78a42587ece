import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { isCovered } from '../../../lib/privacy';
import { lessonWith } from '../../../test.lesson';
import { studio } from './studio';

/** A picture of the screen or of one window, as the browser captures it. */
class Track extends EventTarget {
  readonly kind = 'video';
  readonly displaySurface: string;
  isEnded = false;
  constraints: unknown;

  constructor(displaySurface: string) {
    super();
    this.displaySurface = displaySurface;
  }

  getSettings() {
    return { displaySurface: this.displaySurface };
  }

  applyConstraints(constraints: unknown) {
    this.constraints = constraints;
    return Promise.resolve();
  }

  stop() {
    this.isEnded = true;
  }
}

/** The browser's end of the one call; what it sends is there to be looked at. */
class Sender {
  track: Track;
  encodings: object[];
  /** The browser takes its time. */
  replaced: Promise<void> = Promise.resolve();

  constructor(track: Track, encodings: object[]) {
    this.track = track;
    this.encodings = encodings;
  }

  getParameters() {
    return { encodings: this.encodings };
  }

  setParameters({ encodings }: { encodings: object[] }) {
    this.encodings = encodings;
    return Promise.resolve();
  }

  async replaceTrack(track: Track) {
    await this.replaced;
    this.track = track;
  }
}

class Peer {
  static sender: Sender | null = null;
  readonly iceGatheringState = 'complete';
  readonly connectionState = 'connected';
  readonly localDescription = { sdp: 'v=0' };

  addTransceiver(track: Track, { sendEncodings }: { sendEncodings: object[] }) {
    Peer.sender = new Sender(track, sendEncodings);
    return { setCodecPreferences: () => {} };
  }

  getSenders() {
    return Peer.sender === null ? [] : [Peer.sender];
  }

  setLocalDescription() {
    return Promise.resolve();
  }

  setRemoteDescription() {
    return Promise.resolve();
  }

  close() {
    Peer.sender = null;
  }
}

const LIMITS = {
  max_fps: 17,
  max_height: 720,
  max_bitrate_bps: 1_700_000,
  max_audio_bitrate_bps: 71_000,
};

const getDisplayMedia = vi.fn<(options: object) => Promise<unknown>>();

/** The person picks this in the browser's own dialog. */
function share(displaySurface: string): Promise<void> {
  const tracks = [new Track(displaySurface)];
  const stream = {
    getTracks: () => tracks,
    getVideoTracks: () => tracks,
    getAudioTracks: () => [],
  };
  getDisplayMedia.mockResolvedValueOnce(stream);
  return studio.shareScreen(lessonWith({}), LIMITS);
}

const isOnAir = (displaySurface: string) =>
  vi.waitFor(() => {
    expect(studio.state.get().screen?.phase).toBe('up');
    expect(Peer.sender?.track.displaySurface).toBe(displaySurface);
  });

/** The next replacement waits until it is let go. */
function holdReplacement(): { letGo: () => void } {
  const held = { letGo: () => {} };
  if (Peer.sender !== null) {
    Peer.sender.replaced = new Promise((resolve) => {
      held.letGo = resolve;
    });
  }
  return held;
}

beforeEach(() => {
  // The page's timers: no time passes here.
  vi.stubGlobal(
    'Worker',
    class extends EventTarget {
      postMessage() {}
    },
  );
  vi.stubGlobal('navigator', { userAgent: '', mediaDevices: { getDisplayMedia } });
  vi.stubGlobal('RTCPeerConnection', Peer);
  vi.stubGlobal('RTCRtpReceiver', { getCapabilities: () => ({ codecs: [] }) });
  const answer = { status: 201, headers: { location: '/whip/resources/p' } };
  vi.stubGlobal('fetch', () => Promise.resolve(new Response('v=0', answer)));
});
afterEach(() => {
  studio.close();
  vi.unstubAllGlobals();
});

it('covers before a whole screen goes on air, and uncovers when it is off', async () => {
  await share('window');
  await isOnAir('window');
  expect(isCovered.get()).toBe(false);
  const replacement = holdReplacement();
  const sharing = share('monitor');
  await expect.poll(() => isCovered.get()).toBe(true);
  await isOnAir('window');
  replacement.letGo();
  await sharing;
  await isOnAir('monitor');
  expect(isCovered.get()).toBe(true);
  studio.stopScreen();
  expect(isCovered.get()).toBe(false);
});

it('stays covered until a window is on air in the place of the whole screen', async () => {
  const onAirWhenUncovered: (string | undefined)[] = [];
  await share('monitor');
  await isOnAir('monitor');
  const whole = Peer.sender?.track;
  const unsubscribe = isCovered.subscribe(() =>
    onAirWhenUncovered.push(Peer.sender?.track.displaySurface),
  );
  const replacement = holdReplacement();
  const sharing = share('window');
  await expect.poll(() => studio.state.get().screen?.surface).toBe('window');
  expect(isCovered.get()).toBe(true);
  replacement.letGo();
  await sharing;
  unsubscribe();
  expect(onAirWhenUncovered).toEqual(['window']);
  expect(whole?.isEnded).toBe(true);
  expect(isCovered.get()).toBe(false);
});

it('stays covered when the whole screen is picked again before the window is there', async () => {
  await share('monitor');
  await isOnAir('monitor');
  const replacement = holdReplacement();
  const window = share('window');
  await expect.poll(() => studio.state.get().screen?.surface).toBe('window');
  const whole = share('monitor');
  await expect.poll(() => studio.state.get().screen?.surface).toBe('whole_screen');
  replacement.letGo();
  await Promise.all([window, whole]);
  await isOnAir('monitor');
  expect(isCovered.get()).toBe(true);
});

it('has the whole screen off the air even where the browser refuses to replace it', async () => {
  await share('monitor');
  await isOnAir('monitor');
  const former = Peer.sender;
  if (former !== null) former.replaced = Promise.reject(new Error('of another kind'));
  await share('window');
  expect(former?.track.isEnded).toBe(true);
  expect(Peer.sender).toBe(null);
  expect(isCovered.get()).toBe(false);
});

it('sends what the box asks for, and what it asks for later', async () => {
  await share('window');
  await isOnAir('window');
  const video = { frameRate: { max: 17 }, width: { max: 1280 }, height: { max: 720 } };
  expect(getDisplayMedia).toHaveBeenLastCalledWith(expect.objectContaining({ video }));
  expect(Peer.sender?.encodings).toEqual([
    { maxBitrate: 1_700_000, maxFramerate: 17, scaleResolutionDownBy: 1 },
  ]);
  studio.follow('l', { ...LIMITS, max_fps: 9, max_bitrate_bps: 900_000 });
  const later = [{ maxBitrate: 900_000, maxFramerate: 9, scaleResolutionDownBy: 1 }];
  expect(Peer.sender?.encodings).toEqual(later);
  expect(Peer.sender?.track.constraints).toEqual({ ...video, frameRate: { max: 9 } });
  studio.follow('another lesson', LIMITS);
  expect(Peer.sender?.encodings).toEqual(later);
});
