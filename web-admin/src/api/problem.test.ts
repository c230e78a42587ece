import i18next from 'i18next';
import { expect, it } from 'vitest';

import { ApiProblem, fieldProblem, problemText } from './problem';

const t = i18next.t;

it("speaks the page's language where it knows the code, the box's where it does not", () => {
  expect(problemText(t, new ApiProblem(409, 'room_busy', { detail: 'x' }))).toBe(
    t('problem.room_busy'),
  );
  expect(problemText(t, new ApiProblem(409, 'from_a_newer_box', { detail: 'Move the box.' }))).toBe(
    'Move the box.',
  );
  expect(problemText(t, new Error('oops'))).toBe(t('problem.unexpected'));
});

it('says how long to wait', () => {
  const slow = new ApiProblem(429, 'slow_down', { retry_after_seconds: 7 });
  expect(problemText(t, slow)).toContain('7');
});

it('takes an answer that is no problem document for the box being away', async () => {
  const problem = await ApiProblem.from(new Response('<html>', { status: 502 }));
  expect(problem.isAway).toBe(true);
});

it("puts a field's fault at its field", () => {
  const problem = new ApiProblem(422, 'wrong', {
    fields: [{ field: 'email', code: 'email_malformed', detail: 'no @' }],
  });
  expect(fieldProblem(t, problem, 'email')).toBe(t('problem.email_malformed'));
  expect(fieldProblem(t, problem, 'code')).toBeUndefined();
});
