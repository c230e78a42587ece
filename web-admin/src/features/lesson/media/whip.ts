/**
 * One WHIP publication (RFC 9725) from this browser to the box.
 *
 * Whatever breaks later is mended by a new call (`redial.ts`), not by renegotiation.
 */
import { RtcCall, dial } from '../../../api/rtcCall';
import type { After } from '../../../lib/timer';
import { type Quality, shrinkage } from './quality';
import { type Codec, preferredCodecs, tuneAnswer } from './sdp';

/** How often the picture's size is looked at: no browser tells when a shared window grows. */
const LOOK_MS = 1000;

/** A change of size that is not worth an encoder's new beginning. */
const NEGLIGIBLE = 0.01;

export interface WhipPlan {
  endpoint: string;
  stream: MediaStream;
  quality: Quality | undefined;
  codec: Codec;
  after: After;
}

export class WhipCall extends RtcCall {
  readonly #plan: WhipPlan;
  #quality: Quality | undefined;
  #cancelLook: () => void = () => {};

  constructor(pc: RTCPeerConnection, location: string, plan: WhipPlan) {
    super(pc, location, plan.after);
    this.#plan = plan;
    this.#quality = plan.quality;
    if (plan.stream.getVideoTracks().length > 0) this.#lookAgain();
  }

  /** Resolves when media flows. Whatever was begun is undone when it fails or is aborted. */
  static dial(plan: WhipPlan, signal: AbortSignal): Promise<WhipCall> {
    return dial({
      endpoint: plan.endpoint,
      after: plan.after,
      signal,
      prepare: (pc) => addTracks(pc, plan),
      take: (pc, location) => new WhipCall(pc, location, plan),
      tune: (answer) =>
        tuneAnswer(answer, {
          startVideoBps: plan.quality && plan.quality.videoBps * 0.6,
          isStereo: plan.stream.getVideoTracks().length > 0,
        }),
    });
  }

  /** Another quality, at once and without a gap. */
  async setQuality(quality: Quality): Promise<void> {
    this.#quality = quality;
    await Promise.all(this.pc.getSenders().map((sender) => applyQuality(sender, quality)));
  }

  /** Another picture or microphone in the place of the present one; no renegotiation. */
  async replaceTrack(track: MediaStreamTrack): Promise<boolean> {
    const sender = this.pc.getSenders().find((candidate) => candidate.track?.kind === track.kind);
    if (sender === undefined) return false;
    await sender.replaceTrack(track);
    // An encoder that will not be told goes on as it was.
    if (this.#quality !== undefined) await applyQuality(sender, this.#quality).catch(() => {});
    return true;
  }

  override close(): void {
    this.#cancelLook();
    super.close();
  }

  #fit(): void {
    const quality = this.#quality;
    if (quality === undefined) return;
    const misfits = this.pc.getSenders().filter((sender) => isMisfit(sender, quality));
    // An encoder that will not be told goes on as it was.
    for (const sender of misfits) void applyQuality(sender, quality).catch(() => {});
  }

  /** A picture that grows later is not sent larger than the lesson allows either. */
  #lookAgain(): void {
    this.#cancelLook = this.#plan.after(LOOK_MS, () => {
      this.#fit();
      this.#lookAgain();
    });
  }
}

function addTracks(pc: RTCPeerConnection, plan: WhipPlan): void {
  for (const track of plan.stream.getTracks()) {
    const transceiver = pc.addTransceiver(track, {
      direction: 'sendonly',
      streams: [plan.stream],
      sendEncodings: [encoding(track, plan.quality)],
    });
    if (track.kind === 'video') {
      const known = RTCRtpReceiver.getCapabilities('video')?.codecs ?? [];
      const codecs = preferredCodecs(known, plan.codec);
      if (codecs.length > 0) transceiver.setCodecPreferences(codecs);
    }
  }
}

function encoding(track: MediaStreamTrack, quality: Quality | undefined): RTCRtpEncodingParameters {
  if (quality === undefined) return {};
  if (track.kind !== 'video') return { maxBitrate: quality.audioBps };
  return {
    maxBitrate: quality.videoBps,
    maxFramerate: quality.fps,
    scaleResolutionDownBy: scaling(track, quality),
  };
}

/** A picture whose size nobody knows yet is sent as it is. */
function scaling(track: MediaStreamTrack, quality: Quality): number {
  const { width = 0, height = 0 } = track.getSettings();
  return shrinkage({ width, height }, quality);
}

/** Whether the picture has another size now than when the encoder was told. */
function isMisfit(sender: RTCRtpSender, quality: Quality): boolean {
  if (sender.track?.kind !== 'video') return false;
  const told = sender.getParameters().encodings[0]?.scaleResolutionDownBy ?? 1;
  return Math.abs(told - scaling(sender.track, quality)) > told * NEGLIGIBLE;
}

async function applyQuality(sender: RTCRtpSender, quality: Quality): Promise<void> {
  if (sender.track === null) return;
  const parameters = sender.getParameters();
  const wanted = encoding(sender.track, quality);
  parameters.encodings = parameters.encodings.map((present) => ({ ...present, ...wanted }));
  await sender.setParameters(parameters);
}
