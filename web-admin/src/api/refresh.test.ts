import { QueryClient, QueryObserver } from '@tanstack/react-query';
import { expect, it } from 'vitest';

import { readAgain } from './refresh';

/** A query that is on show and whose reads are answered one by one. */
function watched() {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } });
  const asked: ((answer: string) => void)[] = [];
  const read = () => new Promise<string>((resolve) => asked.push(resolve));
  const observer = new QueryObserver(client, { queryKey: ['lesson'], queryFn: read });
  observer.subscribe(() => {});
  return { client, asked, shown: () => observer.getCurrentResult().data };
}

it('reads once more what was on its way when the news came', async () => {
  const { client, asked, shown } = watched();
  const done = readAgain(client, ['lesson']);
  asked[0]?.('from before the news');
  await expect.poll(() => asked.length).toBe(2);
  asked[1]?.('from after it');
  await done;
  expect(shown()).toBe('from after it');
});

it('reads what was read before once', async () => {
  const { client, asked, shown } = watched();
  asked[0]?.('from before the news');
  await expect.poll(shown).toBe('from before the news');
  const done = readAgain(client);
  expect(asked.length).toBe(2);
  asked[1]?.('from after it');
  await done;
  expect(shown()).toBe('from after it');
  expect(asked.length).toBe(2);
});
