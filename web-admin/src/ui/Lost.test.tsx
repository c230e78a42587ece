import { screen } from '@testing-library/react';
import { createMemoryRouter, RouterProvider } from 'react-router';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { ApiProblem } from '../api/problem';
import { renderPart } from '../test.render';
import { Lost } from './Lost';

const asked = vi.fn<() => Promise<Response>>();
let problem: ApiProblem | null = null;

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  vi.spyOn(globalThis, 'fetch').mockImplementation(asked);
  vi.spyOn(console, 'error').mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  asked.mockReset();
});

function Page() {
  if (problem !== null) throw problem;
  return <p>the page</p>;
}

function open(wrong: ApiProblem) {
  problem = wrong;
  const router = createMemoryRouter([{ path: '/', element: <Page />, errorElement: <Lost /> }]);
  renderPart(<RouterProvider router={router} />);
}

it('says what to do about a database from a newer version, in the words of the box too', async () => {
  const detail = 'schema 9, this build knows 7';
  open(new ApiProblem(503, 'database_newer', { detail }));
  expect(await screen.findByText(/Install that version again/)).toBeTruthy();
  expect(screen.getByText(detail)).toBeTruthy();
});

it('comes back by itself when the box is whole again', async () => {
  open(new ApiProblem(503, 'database_unreadable', { detail: 'the disk is gone' }));
  asked.mockResolvedValueOnce(new Response(null, { status: 503 }));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(asked).toHaveBeenCalledTimes(1);
  expect(screen.queryByText('the page')).toBeNull();

  problem = null;
  asked.mockResolvedValueOnce(new Response('{}'));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await screen.findByText('the page')).toBeTruthy();
});

it('does not ask for what will not come', async () => {
  open(new ApiProblem(404, 'no_such_lesson', {}));
  expect(await screen.findByText('There is no such lesson.')).toBeTruthy();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(asked).not.toHaveBeenCalled();
});
