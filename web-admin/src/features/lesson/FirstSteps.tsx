/** What a box without a class or a room still needs, right here instead of on other pages. */
import { Button, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { api, queryClient } from '../../api/client';
import { ProblemLine } from '../../ui/ProblemLine';
import classes from './HomePage.module.css';
import { classesQuery, roomsQuery } from './queries';

export function FirstSteps({ hasClass, hasRoom }: { hasClass: boolean; hasRoom: boolean }) {
  const { t } = useTranslation();
  return (
    <section className={classes.card} aria-label={t('home.first_steps')}>
      {!hasRoom && (
        <Step title={t('home.step_room')} about={t('home.step_room_about')}>
          <NameForm
            label={t('home.room_name')}
            submit={t('home.add_room')}
            create={async (name) => {
              await api.POST('/api/v1/rooms', { body: { name } });
              await queryClient.invalidateQueries({ queryKey: roomsQuery.queryKey });
            }}
          />
        </Step>
      )}
      {!hasClass && (
        <Step title={t('home.step_class')} about={t('home.step_class_about')}>
          <NameForm
            label={t('home.class_name')}
            submit={t('home.add_class')}
            create={async (name) => {
              await api.POST('/api/v1/classes', { body: { name } });
              await queryClient.invalidateQueries({ queryKey: classesQuery.queryKey });
            }}
          />
        </Step>
      )}
    </section>
  );
}

interface StepProps {
  title: string;
  about: string;
  children: ReactNode;
}

function Step({ title, about, children }: StepProps) {
  return (
    <div className={classes.step}>
      <Text fw={600}>{title}</Text>
      <Text c="dimmed" size="sm">
        {about}
      </Text>
      {children}
    </div>
  );
}

interface NameFormProps {
  label: string;
  submit: string;
  create: (name: string) => Promise<void>;
}

function NameForm({ label, submit, create }: NameFormProps) {
  const [name, setName] = useState('');
  const creation = useMutation({ mutationFn: create });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    creation.mutate(name.trim());
  };
  return (
    <form onSubmit={onSubmit}>
      <div className={classes.inline}>
        <TextInput
          className={classes.grow}
          label={label}
          required
          withAsterisk={false}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Button type="submit" size="md" loading={creation.isPending}>
          {submit}
        </Button>
      </div>
      <ProblemLine error={creation.error} />
    </form>
  );
}
