import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { Quality } from './quality';
import { WhipCall, type WhipPlan } from './whip';

/** What the browser captures. jsdom has no such thing: it is as much of one as is asked for. */
class Track extends EventTarget implements MediaStreamTrack {
  readonly kind: string;
  settings: MediaTrackSettings;
  contentHint = '';
  enabled = true;
  readonly id = '';
  readonly label = '';
  readonly muted = false;
  readonly readyState = 'live';
  onended = null;
  onmute = null;
  onunmute = null;

  constructor(kind: string, settings: MediaTrackSettings) {
    super();
    this.kind = kind;
    this.settings = settings;
  }

  getSettings = () => this.settings;
  getCapabilities = () => ({});
  getConstraints = () => ({});
  applyConstraints = () => Promise.resolve();
  clone = () => new Track(this.kind, this.settings);
  stop() {}
}

const track = (kind: string, settings: MediaTrackSettings = {}) => new Track(kind, settings);

class Stream {
  readonly tracks: MediaStreamTrack[];

  constructor(tracks: MediaStreamTrack[]) {
    this.tracks = tracks;
  }

  getTracks = () => this.tracks;
  getVideoTracks = () => this.tracks.filter(({ kind }) => kind === 'video');
}

/** The browser's end of one track; what its encoder was told is there to be looked at. */
class Sender {
  track: Track;
  encodings: RTCRtpEncodingParameters[];

  constructor(of: Track, encodings: RTCRtpEncodingParameters[]) {
    this.track = of;
    this.encodings = encodings;
  }

  getParameters = () => ({ encodings: this.encodings });

  setParameters = ({ encodings }: { encodings: RTCRtpEncodingParameters[] }) => {
    this.encodings = encodings;
    return Promise.resolve();
  };

  replaceTrack(of: Track) {
    this.track = of;
    return Promise.resolve();
  }
}

const senders: Sender[] = [];

class Peer {
  readonly iceGatheringState = 'complete';
  readonly connectionState = 'connected';
  readonly localDescription = { sdp: 'v=0' };

  addTransceiver(of: Track, init: { sendEncodings: RTCRtpEncodingParameters[] }) {
    senders.push(new Sender(of, init.sendEncodings));
    return { setCodecPreferences: () => {} };
  }

  getSenders = () => senders;
  setLocalDescription = () => Promise.resolve();
  setRemoteDescription = () => Promise.resolve();
  close() {}
}

const QUALITY: Quality = { videoBps: 4_000_000, audioBps: 128_000, fps: 30, height: 1080 };

/** What waits for its time to come. */
const waiting = new Map<number, Set<() => void>>();

function after(ms: number, then: () => void): () => void {
  const due = waiting.get(ms) ?? new Set();
  waiting.set(ms, due.add(then));
  return () => void due.delete(then);
}

function aSecondLater(): void {
  const due = [...(waiting.get(1000) ?? [])];
  waiting.delete(1000);
  for (const then of due) then();
}

/** Publishes these tracks, and tells their senders. */
async function publish(...tracks: Track[]): Promise<WhipCall> {
  const stream = new MediaStream(tracks);
  const plan: WhipPlan = { endpoint: '/whip', stream, quality: QUALITY, codec: 'h264', after };
  return WhipCall.dial(plan, new AbortController().signal);
}

const told = () => senders.map(({ encodings }) => encodings);

beforeEach(() => {
  vi.stubGlobal('MediaStream', Stream);
  vi.stubGlobal('RTCPeerConnection', Peer);
  vi.stubGlobal('RTCRtpReceiver', { getCapabilities: () => ({ codecs: [] }) });
  const answer = { status: 201, headers: { location: '/whip/resources/p' } };
  vi.stubGlobal('fetch', () => Promise.resolve(new Response('v=0', answer)));
});
afterEach(() => {
  senders.length = 0;
  waiting.clear();
  vi.unstubAllGlobals();
});

it('sends a 4K screen as 1080 lines', async () => {
  await publish(track('video', { width: 3840, height: 2160 }));
  expect(told()[0]?.[0]?.scaleResolutionDownBy).toBe(2);
});

it('sends a small, and an unknown, picture as it is, and a wide one no wider than others', async () => {
  await publish(
    track('video', { width: 1280, height: 720 }),
    track('video'),
    track('video', { width: 3840, height: 1080 }),
  );
  expect(told().map(([encoding]) => encoding?.scaleResolutionDownBy)).toEqual([1, 1, 2]);
});

it('follows a window that grows and shrinks, and another one that takes its place', async () => {
  const window = track('video', { width: 1920, height: 1080 });
  const call = await publish(window);
  Object.assign(window.settings, { width: 2560, height: 1440 });
  aSecondLater();
  expect(told()[0]?.[0]?.scaleResolutionDownBy).toBeCloseTo(1440 / 1080);
  Object.assign(window.settings, { width: 800, height: 600 });
  aSecondLater();
  expect(told()[0]?.[0]?.scaleResolutionDownBy).toBe(1);
  const other = track('video', { width: 3840, height: 2160 });
  await call.replaceTrack(other);
  expect(told()[0]?.[0]?.scaleResolutionDownBy).toBe(2);
});

it('leaves the encoder alone while the size stays', async () => {
  const window = track('video', { width: 2560, height: 1440 });
  await publish(window);
  const before = told()[0];
  Object.assign(window.settings, { height: 1441 });
  aSecondLater();
  expect(told()[0]).toBe(before);
});

it('keeps the sound to what the box asks for, also when that changes', async () => {
  const call = await publish(track('video', { width: 640, height: 480 }), track('audio'));
  expect(told()[1]).toEqual([{ maxBitrate: 128_000 }]);
  await call.setQuality({ ...QUALITY, audioBps: 64_000, height: 240 });
  expect(told()[1]).toEqual([{ maxBitrate: 64_000 }]);
  expect(told()[0]?.[0]?.scaleResolutionDownBy).toBe(2);
});

it('looks no longer once it is closed', async () => {
  const window = track('video', { width: 1920, height: 1080 });
  const call = await publish(window);
  call.close();
  Object.assign(window.settings, { width: 3840, height: 2160 });
  aSecondLater();
  expect(told()[0]?.[0]?.scaleResolutionDownBy).toBe(1);
});
