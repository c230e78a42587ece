/**
 * One WebRTC session with the box: publishing (WHIP, RFC 9725) and watching (WHEP) are dialled alike.
 *
 * The box is ICE-lite on the same network: there is no STUN, no trickling and no restart. All local
 * candidates go into the one offer, the answer names the box's only port, and whatever breaks later
 * is mended by a new call (`lib/redial.ts`), not by renegotiation.
 */
import type { Call } from '../lib/redial';
import type { After } from '../lib/timer';
import { ApiProblem } from './problem';

/** Host candidates are there at once; one that hangs (a VPN's interface) is left behind. */
const GATHER_MS = 500;
const POST_TIMEOUT_MS = 2000;
/** DTLS on a LAN takes some ten milliseconds; a lost first packet costs one second more. */
const CONNECT_MS = 4000;
/** How long ICE may be without an answer before the call counts as lost. */
const SILENCE_MS = 2000;

export interface DialPlan<C extends RtcCall> {
  endpoint: string;
  after: After;
  signal: AbortSignal;
  /** Says what is to be sent or taken. */
  prepare(pc: RTCPeerConnection): void;
  /** The call of a session that the box has taken; it has an address from here on. */
  take(pc: RTCPeerConnection, location: string): C;
  /** The answer as this browser should take it. */
  tune(answer: string): string;
}

export class RtcCall implements Call {
  /** The box's id of this session: the last part of its address. */
  readonly id: string;
  readonly pc: RTCPeerConnection;
  readonly #location: string;
  readonly #after: After;
  #cancelSilence: () => void = () => {};

  constructor(pc: RTCPeerConnection, location: string, after: After) {
    this.pc = pc;
    this.#location = location;
    this.#after = after;
    this.id = location.split('/').at(-1) ?? '';
  }

  onLost(listener: () => void): void {
    const check = () => {
      this.#cancelSilence();
      const state = this.pc.connectionState;
      // A Wi-Fi that roams is silent for a moment; a box that is gone stays so.
      if (state === 'disconnected') this.#cancelSilence = this.#after(SILENCE_MS, listener);
      // Where the box says goodbye Chromium is "new" again: anything but connected is over.
      else if (state !== 'connected') listener();
    };
    this.pc.onconnectionstatechange = check;
    check();
  }

  close(): void {
    this.#cancelSilence();
    this.pc.onconnectionstatechange = null;
    this.pc.close();
    // The answer does not matter: a box that is away has forgotten the session already.
    fetch(this.#location, { method: 'DELETE', keepalive: true }).catch(() => {});
  }
}

/** Resolves when media flows. Whatever was begun is undone when it fails or is aborted. */
export async function dial<C extends RtcCall>(plan: DialPlan<C>): Promise<C> {
  const { after, signal } = plan;
  const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require' });
  let call: C | null = null;
  try {
    plan.prepare(pc);
    await pc.setLocalDescription();
    await gathered(pc, after);
    const { answer, location } = await post(plan.endpoint, pc.localDescription?.sdp ?? '', signal);
    call = plan.take(pc, location);
    await pc.setRemoteDescription({ type: 'answer', sdp: plan.tune(answer) });
    await connected(pc, after, signal);
    return call;
  } catch (error) {
    if (call === null) pc.close();
    else call.close();
    throw error;
  }
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
