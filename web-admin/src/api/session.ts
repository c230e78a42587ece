/** Who is here, and how the box itself is: the one query that every page stands on. */
import { useSuspenseQuery } from '@tanstack/react-query';

import { $api, queryClient } from './client';
import { ApiProblem } from './problem';
import type { BoxState, Me, SignedStudent } from './types';

const stateQuery = $api.queryOptions('get', '/api/v1/state');

export function useBoxState(): BoxState {
  return useSuspenseQuery(stateQuery).data;
}

/** The person who is signed in. Only for pages behind the gate. */
export function useMe(): Me {
  const { session } = useBoxState();
  if (session == null) throw new ApiProblem(401, 'not_signed_in', {});
  return session;
}

export function useIsAdmin(): boolean {
  return useBoxState().session?.role === 'admin';
}

/** What the person has changed of themselves. */
export function rememberMe(session: Me): void {
  queryClient.setQueryData<BoxState>(
    stateQuery.queryKey,
    (state) => state && { ...state, session },
  );
}

/** After signing in or out: nothing of the former person stays in memory. */
export const enterAs = (session: Me | null) => enter({ session, student: null });

/** The same, for a student. */
export const enterAsStudent = (student: SignedStudent) => enter({ session: null, student });

async function enter(who: Pick<BoxState, 'session' | 'student'>): Promise<void> {
  const state = await queryClient.fetchQuery({ ...stateQuery, staleTime: 0 });
  queryClient.removeQueries({ predicate: (query) => query.queryKey[1] !== '/api/v1/state' });
  queryClient.setQueryData(stateQuery.queryKey, { ...state, ...who });
}

/** A session that the box no longer knows (logged out elsewhere, too old): back to the log-in. */
queryClient.getQueryCache().subscribe(({ type, query }) => {
  if (type !== 'updated' || query.queryKey[1] === '/api/v1/state') return;
  const { error } = query.state;
  if (error instanceof ApiProblem && error.status === 401) {
    void queryClient.invalidateQueries({ queryKey: stateQuery.queryKey });
  }
});
