import { act, waitFor } from '@testing-library/react';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { queryClient } from '../../api/client';
import type { PublicationState } from '../../api/types';
import { isCovered } from '../../lib/privacy';
import { lessonWith } from '../../test.lesson';
import { renderPart, signIn } from '../../test.render';
import { EncoderWatch } from './EncoderWatch';
import { activeLessonsQuery, onAirQuery } from './queries';

const screenBy = (part: Partial<PublicationState>): PublicationState => ({
  id: 'p',
  kind: 'screen',
  source: 'whip',
  by_stream_key: true,
  teacher_id: 'me',
  fps: 30,
  bitrate_bps: 0,
  packets_lost: 0,
  since_at: 0,
  ...part,
});

function onAir(publications: PublicationState[]) {
  act(() => {
    queryClient.setQueryData(onAirQuery('l').queryKey, {
      on_air: publications.length > 0,
      publications,
      machines: [],
    });
  });
}

beforeEach(() => {
  signIn();
  queryClient.setQueryData(activeLessonsQuery.queryKey, { items: [lessonWith({})] });
});
afterEach(() => queryClient.clear());

const is = (covered: boolean) => waitFor(() => expect(isCovered.get()).toBe(covered));

it("covers while a program has this person's screen on air, and no longer", async () => {
  onAir([]);
  const { unmount } = renderPart(<EncoderWatch />);
  expect(isCovered.get()).toBe(false);
  onAir([screenBy({})]);
  await is(true);
  onAir([]);
  await is(false);
  onAir([screenBy({})]);
  await is(true);
  unmount();
  expect(isCovered.get()).toBe(false);
});

it("lets a second device look on while the first one's browser shares", () => {
  onAir([screenBy({ by_stream_key: false })]);
  renderPart(<EncoderWatch />);
  expect(isCovered.get()).toBe(false);
});

it("is not a colleague's concern", () => {
  onAir([screenBy({ teacher_id: 'colleague' })]);
  renderPart(<EncoderWatch />);
  expect(isCovered.get()).toBe(false);
});
