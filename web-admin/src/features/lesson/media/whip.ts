/**
 * One WHIP publication (RFC 9725) from this browser to the box.
 *
 * The box is ICE-lite on the same network: there is no STUN, no trickling and no restart. All local
 * candidates go into the one offer, the answer names the box's only port, and whatever breaks later
 * is mended by a new call (`publisher.ts`), not by renegotiation.
 */
import { ApiProblem } from '../../../api/problem';
import type { After } from '../../../lib/timer';
import type { Call } from './publisher';
import type { Quality } from './quality';
import { type Codec, preferredCodecs, tuneAnswer } from './sdp';

export interface WhipPlan {
  endpoint: string;
  stream: MediaStream;
  quality: Quality | undefined;
  codec: Codec;
  after: After;
}

/** Host candidates are there at once; one that hangs (a VPN's interface) is left behind. */
const GATHER_MS = 500;
const POST_TIMEOUT_MS = 2000;
/** DTLS on a LAN takes some ten milliseconds; a lost first packet costs one second more. */
const CONNECT_MS = 4000;
/** How long ICE may be without an answer before the call counts as lost. */
const SILENCE_MS = 2000;

export class WhipCall implements Call {
  /** The box's id of this publication: the last part of its address. */
  readonly id: string;
  readonly #pc: RTCPeerConnection;
  readonly #location: string;
  readonly #after: After;
  #cancelSilence: () => void = () => {};

  private constructor(pc: RTCPeerConnection, location: string, after: After) {
    this.#pc = pc;
    this.#location = location;
    this.#after = after;
    this.id = location.split('/').at(-1) ?? '';
  }

  /** Resolves when media flows. Whatever was begun is undone when it fails or is aborted. */
  static async dial(plan: WhipPlan, signal: AbortSignal): Promise<WhipCall> {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require' });
    let call: WhipCall | null = null;
    try {
      addTracks(pc, plan);
      await pc.setLocalDescription();
      await gathered(pc, plan.after);
      const { answer, location } = await post(
        plan.endpoint,
        pc.localDescription?.sdp ?? '',
        signal,
      );
      call = new WhipCall(pc, location, plan.after);
      await pc.setRemoteDescription({
        type: 'answer',
        sdp: tuneAnswer(answer, {
          startVideoBps: plan.quality && plan.quality.videoBps * 0.6,
          isStereo: plan.stream.getVideoTracks().length > 0,
        }),
      });
      await connected(pc, plan.after, signal);
      return call;
    } catch (error) {
      if (call === null) pc.close();
      else call.close();
      throw error;
    }
  }

  onLost(listener: () => void): void {
    const check = () => {
      this.#cancelSilence();
      const state = this.#pc.connectionState;
      if (state === 'failed' || state === 'closed') listener();
      // A Wi-Fi that roams is silent for a moment; a box that is gone stays so.
      if (state === 'disconnected') this.#cancelSilence = this.#after(SILENCE_MS, listener);
    };
    this.#pc.onconnectionstatechange = check;
    check();
  }

  close(): void {
    this.#cancelSilence();
    this.#pc.onconnectionstatechange = null;
    this.#pc.close();
    // The answer does not matter: a box that is away has forgotten the session already.
    fetch(this.#location, { method: 'DELETE', keepalive: true }).catch(() => {});
  }

  /** Another quality, at once and without a gap. */
  async setQuality(quality: Quality): Promise<void> {
    await Promise.all(this.#pc.getSenders().map((sender) => applyQuality(sender, quality)));
  }

  /** Another picture or microphone in the place of the present one; no renegotiation. */
  async replaceTrack(track: MediaStreamTrack): Promise<boolean> {
    const sender = this.#pc.getSenders().find((candidate) => candidate.track?.kind === track.kind);
    if (sender === undefined) return false;
    await sender.replaceTrack(track);
    return true;
  }
}

function addTracks(pc: RTCPeerConnection, plan: WhipPlan): void {
  for (const track of plan.stream.getTracks()) {
    const transceiver = pc.addTransceiver(track, {
      direction: 'sendonly',
      streams: [plan.stream],
      sendEncodings: [encoding(track.kind, plan.quality)],
    });
    if (track.kind === 'video') {
      const known = RTCRtpReceiver.getCapabilities('video')?.codecs ?? [];
      const codecs = preferredCodecs(known, plan.codec);
      if (codecs.length > 0) transceiver.setCodecPreferences(codecs);
    }
  }
}

function encoding(kind: string, quality: Quality | undefined): RTCRtpEncodingParameters {
  if (quality === undefined) return {};
  return kind === 'video'
    ? { maxBitrate: quality.videoBps, maxFramerate: quality.fps }
    : { maxBitrate: quality.audioBps };
}

async function applyQuality(sender: RTCRtpSender, quality: Quality): Promise<void> {
  if (sender.track === null) return;
  const parameters = sender.getParameters();
  const wanted = encoding(sender.track.kind, quality);
  parameters.encodings = parameters.encodings.map((present) => ({ ...present, ...wanted }));
  await sender.setParameters(parameters);
}

function gathered(pc: RTCPeerConnection, after: After): Promise<void> {
  if (pc.iceGatheringState === 'complete') return Promise.resolve();
  return new Promise((resolve) => {
    const cancel = after(GATHER_MS, resolve);
    pc.addEventListener('icegatheringstatechange', () => {
      if (pc.iceGatheringState !== 'complete') return;
      cancel();
      resolve();
    });
  });
}

async function post(
  endpoint: string,
  offer: string,
  signal: AbortSignal,
): Promise<{ answer: string; location: string }> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: offer,
    signal: AbortSignal.any([signal, AbortSignal.timeout(POST_TIMEOUT_MS)]),
  }).catch(() => {
    throw ApiProblem.away();
  });
  if (!response.ok) throw await ApiProblem.from(response);
  const location = response.headers.get('location');
  if (location === null) throw new ApiProblem(response.status, 'unexpected', {});
  return { answer: await response.text(), location };
}

function connected(pc: RTCPeerConnection, after: After, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = after(CONNECT_MS, () => reject(new ApiProblem(0, 'media_blocked', {})));
    const check = () => {
      const isOver = pc.connectionState === 'failed' || pc.connectionState === 'closed';
      if (pc.connectionState !== 'connected' && !isOver) return;
      cancel();
      pc.onconnectionstatechange = null;
      if (isOver) reject(new ApiProblem(0, 'media_blocked', {}));
      else resolve();
    };
    signal.addEventListener('abort', () => {
      cancel();
      reject(ApiProblem.away());
    });
    pc.onconnectionstatechange = check;
    check();
  });
}
