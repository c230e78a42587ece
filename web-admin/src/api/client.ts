/**
 * The one door to the box's REST API.
 *
 * `api` is for calls, `$api` for queries and mutations; both are typed by the OpenAPI document and
 * both fail with `ApiProblem` and nothing else. The session is a cookie that the browser keeps by
 * itself: no token passes through here.
 */
import { QueryClient } from '@tanstack/react-query';
import createClient, { type Middleware } from 'openapi-fetch';
import createQueryClient from 'openapi-react-query';

import { ApiProblem } from './problem';
import type { paths } from './schema.gen';

const failWithProblem: Middleware = {
  async onResponse({ response }) {
    if (!response.ok) throw await ApiProblem.from(response);
  },
  onError({ error }) {
    return error instanceof ApiProblem ? error : ApiProblem.away();
  },
};

export const api = createClient<paths>({ baseUrl: '/' });
api.use(failWithProblem);

export const $api = createQueryClient(api);

/** A box that restarts is back in a second or two: reads wait that long before they give up. */
const AWAY_RETRIES = 6;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // The live socket says what changed, so what was read stays fresh until then.
      staleTime: Infinity,
      // A LAN without Internet is "offline" to some browsers; the box answers all the same.
      networkMode: 'always',
      refetchOnWindowFocus: false,
      retry: (failures, error) =>
        error instanceof ApiProblem && error.isAway && failures < AWAY_RETRIES,
      retryDelay: 500,
    },
    mutations: { networkMode: 'always', retry: false },
  },
});

/** Sends a file as it is: OpenAPI knows no type that a browser's `File` would fit. */
export async function sendFile<T>(address: string, file: File): Promise<T> {
  const response = await fetch(`${address}?filename=${encodeURIComponent(file.name)}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: file,
  }).catch(() => {
    throw ApiProblem.away();
  });
  if (!response.ok) throw await ApiProblem.from(response);
  const answer: T = await response.json();
  return answer;
}
