import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { After } from '../../lib/timer';
import { Viewer } from './viewer';

/** The browser's end of a session; what it is asked for is there to be looked at. */
class Peer {
  static all: Peer[] = [];
  readonly receivers: { track: object; jitterBufferTarget: number | null }[] = [];
  readonly kinds: string[] = [];
  readonly iceGatheringState = 'complete';
  readonly localDescription = { sdp: 'v=0' };
  connectionState = 'connected';
  onconnectionstatechange: (() => void) | null = null;

  constructor() {
    Peer.all.push(this);
  }

  addTransceiver(kind: string, { direction }: { direction: string }) {
    this.kinds.push(`${kind} ${direction}`);
    this.receivers.push({ track: { kind }, jitterBufferTarget: null });
  }

  getTransceivers() {
    return this.receivers.map((receiver) => ({ receiver }));
  }

  getReceivers() {
    return this.receivers;
  }

  setLocalDescription() {
    return Promise.resolve();
  }

  setRemoteDescription() {
    return Promise.resolve();
  }

  become(state: string) {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }

  close() {}
}

class Stream {
  readonly tracks: { kind: string }[] = [];

  addTrack(track: { kind: string }) {
    this.tracks.push(track);
  }
}

const after: After = (ms, then) => {
  const timer = setTimeout(then, ms);
  return () => clearTimeout(timer);
};

const answers: (() => Response)[] = [];
const asked: string[] = [];

const taken = () => new Response('v=0', { status: 201, headers: { location: '/api/v1/whep/7' } });
const refused = (status: number, code: string) => () =>
  new Response(JSON.stringify({ status, code }), { status });

let viewer: Viewer;

beforeEach(() => {
  vi.useFakeTimers();
  Peer.all = [];
  answers.length = 0;
  asked.length = 0;
  vi.stubGlobal('RTCPeerConnection', Peer);
  vi.stubGlobal('MediaStream', Stream);
  vi.stubGlobal('fetch', (url: string, { method }: { method: string }) => {
    asked.push(`${method} ${url}`);
    const answer = method === 'POST' ? (answers.shift() ?? taken) : () => new Response();
    return Promise.resolve(answer());
  });
  viewer = new Viewer({ lessonId: 'l', hasSound: true, after });
});

afterEach(() => {
  viewer.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

it('asks for the picture, its sound and the voice, and holds them back as the box says', async () => {
  viewer.start();
  await settle();
  const { phase, screen, voice } = viewer.state.get();
  expect(phase).toBe('up');
  expect(Peer.all[0]?.kinds).toEqual(['video recvonly', 'audio recvonly', 'audio recvonly']);
  expect(screen).toMatchObject({ tracks: [{ kind: 'video' }, { kind: 'audio' }] });
  expect(voice).toMatchObject({ tracks: [{ kind: 'audio' }] });
  const targets = () => Peer.all[0]?.receivers.map((receiver) => receiver.jitterBufferTarget);
  expect(targets()).toEqual([250, 250, 250]);
  viewer.follow({ playout_ms: 60, codec_video: null });
  expect(targets()).toEqual([60, 60, 60]);
});

it('calls again at once when the box says goodbye, and keeps the last picture meanwhile', async () => {
  viewer.start();
  await settle();
  const first = viewer.state.get().screen;
  // Chromium's word for a session that the other side has ended.
  Peer.all[0]?.become('new');
  expect(viewer.state.get()).toMatchObject({ phase: 'connecting' });
  expect(viewer.state.get().screen).toBe(first);
  await settle();
  expect(viewer.state.get().phase).toBe('up');
  expect(viewer.state.get().screen).not.toBe(first);
  expect(asked).toContain('DELETE /api/v1/whep/7');
});

it('waits for a network that roams, and not for ever', async () => {
  viewer.start();
  await settle();
  Peer.all[0]?.become('disconnected');
  await settle(1900);
  Peer.all[0]?.become('connected');
  await settle(5000);
  expect(Peer.all).toHaveLength(1);
  Peer.all[0]?.become('disconnected');
  await settle(2100);
  expect(Peer.all).toHaveLength(2);
});

it('gives up on a codec that it does not play until another one is on air', async () => {
  answers.push(refused(415, 'codec_unplayable'));
  viewer.start();
  await settle(60_000);
  expect(viewer.state.get().phase).toBe('refused');
  expect(Peer.all).toHaveLength(1);
  viewer.follow({ playout_ms: 250, codec_video: 'vp8' });
  await settle();
  expect(viewer.state.get().phase).toBe('up');
});

it('waits for a click once it has given way to a newer page of the same person', async () => {
  viewer.start();
  await settle();
  answers.push(refused(409, 'open_on_too_many_pages'));
  Peer.all[0]?.become('new');
  await settle();
  expect(asked.at(-1)).toBe('POST /api/v1/lessons/l/whep?former=7');
  expect(viewer.state.get()).toMatchObject({
    phase: 'refused',
    problem: { code: 'open_on_too_many_pages' },
  });
  // Neither a box that is back nor another codec brings it back by itself.
  viewer.again();
  viewer.follow({ playout_ms: 250, codec_video: 'vp8' });
  await settle(60_000);
  expect(Peer.all).toHaveLength(2);
  viewer.watchHere();
  await settle();
  expect(asked.at(-1)).toBe('POST /api/v1/lessons/l/whep');
  expect(viewer.state.get().phase).toBe('up');
});

it('tries again where a restarted box does not know the lesson yet', async () => {
  answers.push(
    refused(409, 'lesson_not_active'),
    refused(503, 'whep_unavailable'),
    refused(429, 'slow_down'),
  );
  viewer.start();
  await settle(600);
  expect(viewer.state.get().phase).toBe('waiting');
  await settle(2000);
  expect(viewer.state.get().phase).toBe('up');
});

it('says after the second time that media finds no way through', async () => {
  const blocked = vi.spyOn(Peer.prototype, 'setRemoteDescription');
  blocked.mockImplementation(function fail(this: Peer) {
    this.connectionState = 'failed';
    return Promise.resolve();
  });
  viewer.start();
  await settle(3000);
  expect(viewer.state.get()).toMatchObject({
    phase: 'refused',
    problem: { code: 'media_blocked' },
  });
  expect(Peer.all).toHaveLength(2);
  blocked.mockRestore();
});
