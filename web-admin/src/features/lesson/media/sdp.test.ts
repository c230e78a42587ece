import { describe, expect, it } from 'vitest';

import { preferredCodecs, tuneAnswer } from './sdp';

const h264 = (id: string, mode: number) => ({
  mimeType: 'video/H264',
  sdpFmtpLine: `level-asymmetry-allowed=1;packetization-mode=${mode};profile-level-id=${id}`,
});
const vp8 = { mimeType: 'video/VP8' };
const rtx = { mimeType: 'video/rtx' };
const chromium = [
  vp8,
  rtx,
  { mimeType: 'video/VP9' },
  h264('64001f', 1),
  h264('42e01f', 0),
  h264('42e01f', 1),
  { mimeType: 'video/AV1' },
];

describe('preferredCodecs', () => {
  it('offers baseline H.264 in whole packets first, VP8 after it, and nothing that the box cannot take', () => {
    expect(preferredCodecs(chromium, 'h264')).toEqual([
      h264('42e01f', 1),
      h264('64001f', 1),
      h264('42e01f', 0),
      vp8,
      rtx,
    ]);
  });

  it('offers VP8 alone when that is wanted', () => {
    expect(preferredCodecs(chromium, 'vp8')).toEqual([vp8, rtx]);
  });
});

describe('tuneAnswer', () => {
  const answer = [
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'a=rtpmap:111 opus/48000/2',
    'a=fmtp:111 minptime=10;useinbandfec=1',
    'm=video 9 UDP/TLS/RTP/SAVPF 96 102',
    'a=rtpmap:96 VP8/90000',
    'a=rtpmap:102 H264/90000',
    'a=fmtp:102 packetization-mode=1;profile-level-id=42e01f',
    '',
  ].join('\r\n');

  it('starts the picture high and the sound in stereo', () => {
    const lines = tuneAnswer(answer, { startVideoBps: 2_400_000, isStereo: true }).split('\r\n');
    expect(lines).toContain('a=fmtp:111 minptime=10;useinbandfec=1;stereo=1');
    expect(lines).toContain(
      'a=fmtp:102 packetization-mode=1;profile-level-id=42e01f;x-google-start-bitrate=2400',
    );
    expect(lines[lines.indexOf('a=rtpmap:96 VP8/90000') + 1]).toBe(
      'a=fmtp:96 x-google-start-bitrate=2400',
    );
  });

  it('leaves a voice in one channel', () => {
    expect(tuneAnswer(answer, { startVideoBps: 1, isStereo: false })).not.toContain('stereo=1');
  });
});
