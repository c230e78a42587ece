/** Who may see which page: the rule that `Gate` keeps. The box itself decides what they may read. */
import type { BoxState } from './api/types';
import { paths } from './lib/paths';

type Visitor = Pick<BoxState, 'claimed' | 'session' | 'student'>;

/** Where whoever asks for `pathname` is sent; `null`: it is theirs to see. */
export function doorOf({ claimed, session, student }: Visitor, pathname: string): string | null {
  const isAt = (...theirs: string[]) => theirs.includes(pathname);
  if (!claimed) return isAt(paths.claim) ? null : paths.claim;
  if (student != null) return isAt(paths.student) ? null : paths.student;
  if (session != null) {
    return isAt(paths.claim, paths.login, paths.join, paths.student) ? paths.home : null;
  }
  // Whose school day is over comes in by the same door the next time.
  if (isAt(paths.student)) return paths.join;
  return isAt(paths.login, paths.join) ? null : paths.login;
}
