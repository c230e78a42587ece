/**
 * The few things about an SDP that no browser API can say.
 */

/** The picture's codec that is asked for first. VP8 alone is for browsers and tests that want it. */
export type Codec = 'h264' | 'vp8';

interface CodecLike {
  mimeType: string;
  sdpFmtpLine?: string;
}

/**
 * The codecs to offer, best first: H.264 (constrained baseline in whole-frame packets before the
 * rest, since every decoder plays it), then VP8. Retransmission stays, everything else goes.
 */
export function preferredCodecs<C extends CodecLike>(codecs: readonly C[], first: Codec): C[] {
  const rank = (codec: C): number => {
    const kind = codec.mimeType.toLowerCase();
    const fmtp = codec.sdpFmtpLine ?? '';
    if (kind === 'video/rtx') return 9;
    if (kind === 'video/vp8') return first === 'vp8' ? 0 : 5;
    if (kind !== 'video/h264' || first === 'vp8') return -1;
    const isWhole = fmtp.includes('packetization-mode=1') ? 0 : 2;
    const isBaseline = /profile-level-id=42[ec]0/i.test(fmtp) ? 0 : 1;
    return 1 + isWhole + isBaseline;
  };
  return codecs
    .map((codec) => ({ codec, rank: rank(codec) }))
    .filter((entry) => entry.rank >= 0)
    .toSorted((a, b) => a.rank - b.rank)
    .map((entry) => entry.codec);
}

export interface AnswerTuning {
  /** Chromium starts a stream at 300 kbit/s and feels its way up; on a LAN that is a blurred minute. */
  startVideoBps: number | undefined;
  /** Music and film want two channels; Chromium sends one unless the answer asks for both. */
  isStereo: boolean;
}

/** The box's answer as this browser should take it. */
export function tuneAnswer(sdp: string, tuning: AnswerTuning): string {
  const lines = sdp.split('\r\n');
  const video = payloadTypes(lines, /^a=rtpmap:(\d+) (?:H264|VP8)\//i);
  const opus = payloadTypes(lines, /^a=rtpmap:(\d+) opus\//i);
  let tuned = lines;
  if (tuning.startVideoBps !== undefined) {
    const kbps = Math.round(tuning.startVideoBps / 1000);
    for (const type of video) {
      tuned = withParameter(tuned, type, `x-google-start-bitrate=${kbps}`);
    }
  }
  if (tuning.isStereo) for (const type of opus) tuned = withParameter(tuned, type, 'stereo=1');
  return tuned.join('\r\n');
}

function payloadTypes(lines: readonly string[], pattern: RegExp): string[] {
  return lines.flatMap((line) => pattern.exec(line)?.[1] ?? []);
}

/** Adds to the payload type's fmtp line, or writes one after its rtpmap. */
function withParameter(lines: readonly string[], type: string, parameter: string): string[] {
  const fmtp = `a=fmtp:${type} `;
  if (lines.some((line) => line.startsWith(fmtp))) {
    return lines.map((line) => (line.startsWith(fmtp) ? `${line};${parameter}` : line));
  }
  return lines.flatMap((line) =>
    line.startsWith(`a=rtpmap:${type} `) ? [line, fmtp + parameter] : [line],
  );
}
