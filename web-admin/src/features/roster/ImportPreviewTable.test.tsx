import { screen, within } from '@testing-library/react';
import { expect, it } from 'vitest';

import type { ImportPreview } from '../../api/types';
import en from '../../i18n/en.json';
import { renderPart } from '../../test.render';
import { ImportPreviewTable } from './ImportPreviewTable';

const preview: ImportPreview = {
  encoding: 'windows-1251',
  delimiter: ';',
  columns: ['student_id', 'full_name'],
  rows: [
    { line: 2, student_id: '7B-25', full_name: 'Юсупов Карим', action: 'add' },
    { line: 3, student_id: '7B-01', full_name: 'Ахметова Айгуль', action: 'update' },
  ],
  bad_lines: [{ line: 6, code: 'name_missing', detail: 'the full name is missing' }],
  add: 1,
  update: 1,
  same: 0,
  too_many: 0,
};

it('shows each bad line with its number and its reason', () => {
  renderPart(<ImportPreviewTable preview={preview} />);
  const alert = screen.getByRole('alert');
  expect(within(alert).getByText(`Line 6: ${en.problem.name_missing}`)).toBeTruthy();
});

it('says what will become of every good line', () => {
  renderPart(<ImportPreviewTable preview={preview} />);
  const row = screen.getByRole('row', { name: /Юсупов Карим/ });
  expect(within(row).getByText('new')).toBeTruthy();
});

it('says by how many students the class would be over its limit', () => {
  renderPart(<ImportPreviewTable preview={{ ...preview, bad_lines: [], too_many: 3 }} />);
  const alert = screen.getByRole('alert');
  expect(within(alert).getByText(/3 students too many/)).toBeTruthy();
});

it('complains of nothing when every line is good', () => {
  renderPart(<ImportPreviewTable preview={{ ...preview, bad_lines: [] }} />);
  expect(screen.queryByRole('alert')).toBeNull();
});
