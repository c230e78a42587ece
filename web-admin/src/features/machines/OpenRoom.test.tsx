import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, expect, it, vi } from 'vitest';

import { queryClient } from '../../api/client';
import { renderPart } from '../../test.render';
import { OpenRoom } from './OpenRoom';
import { openAirQuery } from './queries';

/** What the box was told. It answers with what it was told last. */
const told = vi.hoisted(() => {
  const bodies: { is_open: boolean }[] = [];
  // The client takes both when it is loaded; a page has an address that others are relative to.
  globalThis.Request = class extends Request {
    constructor(address: RequestInfo | URL, init?: RequestInit) {
      super(typeof address === 'string' ? new URL(address, 'https://box') : address, init);
    }
  };
  globalThis.fetch = async (request) => {
    if (request instanceof Request && request.method === 'PUT') bodies.push(await request.json());
    return Response.json({ opened_at: null, is_open: bodies.at(-1)?.is_open ?? false });
  };
  return bodies;
});

afterEach(() => queryClient.clear());

it('says what opening a room means before it does so, and shuts it at once', async () => {
  queryClient.setQueryData(openAirQuery('room').queryKey, { is_open: false, opened_at: null });
  renderPart(<OpenRoom id="room" name="12" />);
  const user = userEvent.setup();
  await user.click(screen.getByRole('switch'));
  expect(await screen.findByText(/anybody on the network can watch/i)).toBeTruthy();
  expect(told).toEqual([]);
  await user.click(screen.getByRole('button', { name: 'Open the room' }));
  expect(await screen.findByText(/\/api\/v1\/rooms\/room\/broadcast\.sdp$/)).toBeTruthy();
  await user.click(screen.getByRole('switch', { hidden: true }));
  await vi.waitFor(() => expect(told).toEqual([{ is_open: true }, { is_open: false }]));
});
