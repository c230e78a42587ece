/**
 * One WHIP publication (RFC 9725) from this browser to the box.
 *
 * Whatever breaks later is mended by a new call (`redial.ts`), not by renegotiation.
 */
import { RtcCall, dial } from '../../../api/rtcCall';
import type { After } from '../../../lib/timer';
import type { Quality } from './quality';
import { type Codec, preferredCodecs, tuneAnswer } from './sdp';

export interface WhipPlan {
  endpoint: string;
  stream: MediaStream;
  quality: Quality | undefined;
  codec: Codec;
  after: After;
}

export class WhipCall extends RtcCall {
  /** Resolves when media flows. Whatever was begun is undone when it fails or is aborted. */
  static dial(plan: WhipPlan, signal: AbortSignal): Promise<WhipCall> {
    return dial({
      endpoint: plan.endpoint,
      after: plan.after,
      signal,
      prepare: (pc) => addTracks(pc, plan),
      take: (pc, location) => new WhipCall(pc, location, plan.after),
      tune: (answer) =>
        tuneAnswer(answer, {
          startVideoBps: plan.quality && plan.quality.videoBps * 0.6,
          isStereo: plan.stream.getVideoTracks().length > 0,
        }),
    });
  }

  /** Another quality, at once and without a gap. */
  async setQuality(quality: Quality): Promise<void> {
    await Promise.all(this.pc.getSenders().map((sender) => applyQuality(sender, quality)));
  }

  /** Another picture or microphone in the place of the present one; no renegotiation. */
  async replaceTrack(track: MediaStreamTrack): Promise<boolean> {
    const sender = this.pc.getSenders().find((candidate) => candidate.track?.kind === track.kind);
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
