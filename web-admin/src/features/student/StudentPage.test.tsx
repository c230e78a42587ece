import { screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { queryClient } from '../../api/client';
import { linkState } from '../../api/liveBox';
import type { OwnPage } from '../../api/types';
import { renderPart } from '../../test.render';
import { ownLessonQuery } from './queries';
import { StudentPage } from './StudentPage';

const nine = new Date(2027, 1, 1, 9, 0).getTime();
const lesson = {
  id: 'l',
  title: 'Fractions',
  teacher_name: 'Anna Teacher',
  start_at: nine,
  is_here: true,
};

const renderPage = (part: Partial<OwnPage>) => {
  const own: OwnPage = { full_name: 'Aigul Akhmetova', class_name: '7 B', lesson: null, ...part };
  queryClient.setQueryData(ownLessonQuery.queryKey, own);
  renderPart(<StudentPage />);
};

/** What the page says of the lesson; before it stands what the picture says of itself. */
const status = () => screen.getAllByRole('status').at(-1)?.textContent;

beforeEach(() => linkState.set('up'));
afterEach(() => linkState.set('off'));

it('says who is signed in, and calmly that nothing is on', () => {
  renderPage({});
  expect(screen.getByRole('heading', { name: 'Aigul Akhmetova' })).toBeTruthy();
  expect(screen.getByText('7 B')).toBeTruthy();
  expect(status()).toContain('No lesson of your class is on');
  expect(screen.getByRole('button', { name: 'Sign out' })).toBeTruthy();
});

it('says which lesson is on, whose it is and since when, and that they are counted', () => {
  renderPage({ lesson });
  expect(screen.getByRole('heading', { name: 'Fractions' })).toBeTruthy();
  expect(status()).toContain('Anna Teacher, since 09:00');
  expect(status()).toContain('You are counted as here');
});

it('promises nothing that the box does not say', () => {
  renderPage({ lesson: { ...lesson, is_here: false } });
  expect(status()).toContain('You are not counted yet');
  expect(status()).not.toContain('You are counted as here');
});

it('says nothing about counting while the box is out of reach', () => {
  linkState.set('down');
  renderPage({ lesson });
  expect(status()).toContain('Fractions');
  expect(status()).not.toContain('counted');
});
