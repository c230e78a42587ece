import { Button, Group, Table, VisuallyHidden } from '@mantine/core';
import { IconUserPlus } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import { useMe } from '../../api/session';
import type { Teacher } from '../../api/types';
import { Card } from '../../ui/Card';
import { Private } from '../../ui/Covered';
import { Mark } from '../../ui/Mark';
import { Page } from '../../ui/Page';
import { ProblemLine } from '../../ui/ProblemLine';
import { RowMenu } from '../../ui/RowMenu';
import { PasswordDialog } from './PasswordDialog';
import { teachersQuery } from './queries';
import { TeacherDialog } from './TeacherDialog';

type Open = { kind: 'add' } | { kind: 'edit' | 'password'; teacher: Teacher } | null;

export function TeachersPage() {
  const { t } = useTranslation();
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  return (
    <Page
      title={t('teachers.title')}
      actions={
        <Button
          leftSection={<IconUserPlus size={18} aria-hidden />}
          onClick={() => setOpen({ kind: 'add' })}
        >
          {t('teachers.add')}
        </Button>
      }
    >
      <Private>
        <TeacherTable onOpen={setOpen} />
        {open?.kind === 'add' && <TeacherDialog teacher={null} onClose={close} />}
        {open?.kind === 'edit' && <TeacherDialog teacher={open.teacher} onClose={close} />}
        {open?.kind === 'password' && <PasswordDialog teacher={open.teacher} onClose={close} />}
      </Private>
    </Page>
  );
}

function TeacherTable({ onOpen }: { onOpen: (open: Open) => void }) {
  const { t, i18n } = useTranslation();
  const me = useMe();
  const { items } = useSuspenseQuery(teachersQuery).data;
  const collator = new Intl.Collator(i18n.language);
  const update = $api.useMutation('patch', '/api/v1/teachers/{id}', {
    onSuccess: () => refresh(teachersQuery),
  });
  return (
    <Card isFlush>
      <ProblemLine error={update.error} />
      <Table.ScrollContainer minWidth={320}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('claim.full_name')}</Table.Th>
              <Table.Th visibleFrom="sm">{t('login.email')}</Table.Th>
              <Table.Th visibleFrom="md">{t('teachers.department')}</Table.Th>
              <Table.Th>{t('teachers.role')}</Table.Th>
              <Table.Th w={56}>
                <VisuallyHidden>{t('ui.actions')}</VisuallyHidden>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {items
              .toSorted((a, b) => collator.compare(a.full_name, b.full_name))
              .map((teacher) => (
                <Table.Tr key={teacher.id} c={teacher.is_active ? undefined : 'dimmed'}>
                  <Table.Td fw={550}>{teacher.full_name}</Table.Td>
                  <Table.Td visibleFrom="sm">{teacher.email}</Table.Td>
                  <Table.Td visibleFrom="md">{teacher.department}</Table.Td>
                  <Table.Td>
                    <Group gap={6}>
                      <Mark tone={teacher.role === 'admin' ? 'frost' : 'quiet'}>
                        {t(`teachers.is.${teacher.role}`)}
                      </Mark>
                      {!teacher.is_active && <Mark tone="look">{t('teachers.inactive')}</Mark>}
                    </Group>
                  </Table.Td>
                  <Table.Td>
                    <RowMenu
                      subject={teacher.full_name}
                      actions={[
                        { label: t('ui.edit'), onPick: () => onOpen({ kind: 'edit', teacher }) },
                        {
                          label: t('teachers.set_password'),
                          onPick: () => onOpen({ kind: 'password', teacher }),
                        },
                        // Nobody may lock themselves out.
                        ...(teacher.id === me.id
                          ? []
                          : [
                              {
                                label: teacher.is_active
                                  ? t('teachers.deactivate')
                                  : t('teachers.activate'),
                                isDangerous: teacher.is_active,
                                onPick: () =>
                                  update.mutate({
                                    params: { path: { id: teacher.id } },
                                    body: { is_active: !teacher.is_active },
                                  }),
                              },
                            ]),
                      ]}
                    />
                  </Table.Td>
                </Table.Tr>
              ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}
