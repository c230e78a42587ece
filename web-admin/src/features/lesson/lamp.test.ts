import { expect, it } from 'vitest';

import type { StreamState } from '../../api/types';
import { hasOwnSource, lampOf } from './lamp';
import type { Phase } from '../../lib/redial';
import type { ScreenOnAir } from './media/studio';

const screen: StreamState['publications'][number] = {
  id: 'p',
  kind: 'screen',
  source: 'whip',
  by_stream_key: false,
  teacher_id: 'me',
  fps: 30,
  bitrate_bps: 3_000_000,
  packets_lost: 0,
  since_at: 0,
};
const own = (phase: Phase): { screen: ScreenOnAir } => ({
  screen: { phase, problem: null, surface: 'window', hasSound: false },
});
const nothing = { publications: [] };
const something = { publications: [screen] };

it('is off when neither the box nor this tab has a screen', () => {
  expect(lampOf({ picture: 'live' }, nothing, { screen: null }, 'up')).toBe('off');
});

it('does not call a voice a picture', () => {
  const voice = { publications: [{ ...screen, kind: 'person' as const }] };
  expect(lampOf({ picture: 'live' }, voice, { screen: null }, 'up')).toBe('off');
});

it('shows what another device has on air', () => {
  expect(lampOf({ picture: 'frozen' }, something, { screen: null }, 'up')).toBe('frozen');
});

it('tells a first connection from a lost one', () => {
  expect(lampOf({ picture: 'live' }, nothing, own('connecting'), 'up')).toBe('going');
  expect(lampOf({ picture: 'live' }, something, own('waiting'), 'up')).toBe('away');
});

it('claims nothing about the class while the box is away', () => {
  expect(lampOf({ picture: 'live' }, something, own('up'), 'down')).toBe('away');
});

it('tells what the box puts on air by itself from what somebody sends', () => {
  expect(hasOwnSource(something)).toBe(false);
  expect(hasOwnSource({ publications: [screen, { ...screen, source: 'file' as const }] })).toBe(
    true,
  );
});
