import { Button, SimpleGrid, Text } from '@mantine/core';
import { IconPlus, IconUsersGroup } from '@tabler/icons-react';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import { currentLanguage } from '../../i18n';
import { paths } from '../../lib/paths';
import { byName } from '../../lib/units';
import { Card, Empty } from '../../ui/Card';
import { NameDialog } from '../../ui/NameDialog';
import { Page } from '../../ui/Page';
import { classesQuery } from './queries';
import classes from './ClassesPage.module.css';

export function ClassesPage() {
  const { t } = useTranslation();
  const { items } = useSuspenseQuery(classesQuery).data;
  const [isAdding, setIsAdding] = useState(false);
  const create = $api.useMutation('post', '/api/v1/classes', {
    onSuccess: async () => {
      await refresh(classesQuery);
      setIsAdding(false);
    },
  });

  return (
    <Page
      title={t('roster.classes')}
      actions={
        <Button leftSection={<IconPlus size={18} aria-hidden />} onClick={() => setIsAdding(true)}>
          {t('roster.add_class')}
        </Button>
      }
    >
      {items.length === 0 && (
        <Card>
          <Empty icon={<IconUsersGroup size={30} stroke={1.5} aria-hidden />}>
            {t('roster.no_classes')}
          </Empty>
        </Card>
      )}
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3, lg: 4 }}>
        {items.toSorted(byName(currentLanguage())).map((item) => (
          <Link key={item.id} to={paths.schoolClass(item.id)} className={classes.tile}>
            <span className={classes.name}>{item.name}</span>
            <Text c="dimmed" size="sm">
              {t('roster.students_count', { count: item.student_count })}
            </Text>
            {item.description != null && item.description !== '' && (
              <Text c="dimmed" size="sm" truncate>
                {item.description}
              </Text>
            )}
          </Link>
        ))}
      </SimpleGrid>
      {isAdding && (
        <NameDialog
          title={t('roster.add_class')}
          label={t('roster.class_name')}
          submit={t('roster.add')}
          isBusy={create.isPending}
          error={create.error}
          onSubmit={(name) => create.mutate({ body: { name } })}
          onClose={() => setIsAdding(false)}
        />
      )}
    </Page>
  );
}
