import { Group, Stack, Text, Title } from '@mantine/core';
import { type ReactNode, useEffect } from 'react';

interface Props {
  title: string;
  lead?: ReactNode;
  /** What one may do here, on the right of the title. */
  actions?: ReactNode;
  children: ReactNode;
}

/** The head of a page: its name, one line about it, and what may be done. */
export function Page({ title, lead, actions, children }: Props) {
  useEffect(() => {
    document.title = `${title} · Alfarid`;
  }, [title]);
  return (
    <Stack gap="lg">
      <Group justify="space-between" align="end" gap="md">
        <div>
          <Title order={1}>{title}</Title>
          {lead !== undefined && (
            <Text c="dimmed" mt={4}>
              {lead}
            </Text>
          )}
        </div>
        {actions !== undefined && <Group gap="sm">{actions}</Group>}
      </Group>
      {children}
    </Stack>
  );
}
