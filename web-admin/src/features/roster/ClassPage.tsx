/** One class: its students, its seats, its attendance, each at its own address. */
import { Tabs } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Outlet, useLocation, useNavigate, useParams } from 'react-router';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import { paths } from '../../lib/paths';
import { Confirm } from '../../ui/Confirm';
import { Private } from '../../ui/Covered';
import { Fence } from '../../ui/Fence';
import { NameDialog } from '../../ui/NameDialog';
import { Page } from '../../ui/Page';
import { RowMenu } from '../../ui/RowMenu';
import { classesQuery, classQuery } from './queries';

export function ClassPage() {
  const { t } = useTranslation();
  const { id = '' } = useParams();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const item = useSuspenseQuery(classQuery(id)).data;
  const [dialog, setDialog] = useState<'rename' | 'remove' | null>(null);
  const close = () => setDialog(null);
  const of = { params: { path: { id } } };
  const rename = $api.useMutation('patch', '/api/v1/classes/{id}', {
    onSuccess: async () => {
      await refresh(classesQuery, classQuery(id));
      close();
    },
  });
  const remove = $api.useMutation('delete', '/api/v1/classes/{id}', {
    onSuccess: async () => {
      await navigate(paths.classes);
      await refresh(classesQuery);
    },
  });

  return (
    <Page
      title={item.name}
      lead={t('roster.students_count', { count: item.student_count })}
      actions={
        <RowMenu
          subject={item.name}
          actions={[
            { label: t('roster.rename_class'), onPick: () => setDialog('rename') },
            {
              label: t('roster.remove_class'),
              isDangerous: true,
              onPick: () => setDialog('remove'),
            },
          ]}
        />
      }
    >
      <Places id={id} />
      <Private>
        <Fence key={pathname}>
          <Outlet />
        </Fence>
      </Private>
      {dialog === 'rename' && (
        <NameDialog
          title={t('roster.rename_class')}
          label={t('roster.class_name')}
          submit={t('ui.save')}
          initial={item.name}
          isBusy={rename.isPending}
          error={rename.error}
          onSubmit={(name) => rename.mutate({ ...of, body: { name } })}
          onClose={close}
        />
      )}
      <Confirm
        isOpen={dialog === 'remove'}
        title={t('roster.remove_class')}
        what={t('roster.remove_class_what', { name: item.name })}
        yes={t('ui.remove')}
        isBusy={remove.isPending}
        error={remove.error}
        onYes={() => remove.mutate(of)}
        onClose={close}
      />
    </Page>
  );
}

function Places({ id }: { id: string }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  return (
    <Tabs value={pathname} onChange={(to) => to !== null && void navigate(to)}>
      <Tabs.List>
        <Tabs.Tab value={paths.schoolClass(id)}>{t('roster.students')}</Tabs.Tab>
        <Tabs.Tab value={paths.seating(id)}>{t('roster.seating')}</Tabs.Tab>
        <Tabs.Tab value={paths.classAttendance(id)}>{t('roster.attendance')}</Tabs.Tab>
      </Tabs.List>
    </Tabs>
  );
}
