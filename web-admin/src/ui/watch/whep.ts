/**
 * One WHEP session (draft-ietf-wish-whep): the lesson's picture, and the sounds that are asked for.
 */
import { dial, RtcCall } from '../../api/rtcCall';
import type { After } from '../../lib/timer';

/** The screen with its sound, and the teacher's voice: the lines of the offer, in this order. */
export interface WhepPlan {
  endpoint: string;
  /** 0: the picture alone. */
  sounds: 0 | 2;
  /** How long pictures and sound are held back, so that all show them at one moment. */
  playoutMs: number;
  after: After;
}

export class WhepCall extends RtcCall {
  /** Picture and the screen's sound. */
  readonly screen = new MediaStream();
  readonly voice = new MediaStream();

  constructor(pc: RTCPeerConnection, location: string, plan: WhepPlan) {
    super(pc, location, plan.after);
    const [picture, sound, voice] = pc.getTransceivers().map(({ receiver }) => receiver.track);
    for (const track of [picture, sound]) if (track !== undefined) this.screen.addTrack(track);
    if (voice !== undefined) this.voice.addTrack(voice);
    this.setPlayout(plan.playoutMs);
  }

  static dial(plan: WhepPlan, signal: AbortSignal): Promise<WhepCall> {
    return dial({
      endpoint: plan.endpoint,
      after: plan.after,
      signal,
      prepare: (pc) => {
        pc.addTransceiver('video', { direction: 'recvonly' });
        for (let n = 0; n < plan.sounds; n += 1) {
          pc.addTransceiver('audio', { direction: 'recvonly' });
        }
      },
      take: (pc, location) => new WhepCall(pc, location, plan),
      tune: inStereo,
    });
  }

  /** A browser without it (Firefox before 131, Safari) shows as soon as it can. */
  setPlayout(playoutMs: number): void {
    for (const receiver of this.pc.getReceivers()) {
      if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = playoutMs;
    }
  }
}

/** Chromium plays Opus in one channel unless the answer speaks of two. */
export function inStereo(sdp: string): string {
  return sdp.replaceAll(/^(a=fmtp:\d+ (?=.*useinbandfec)(?!.*stereo).*?)(\r?)$/gm, '$1;stereo=1$2');
}
