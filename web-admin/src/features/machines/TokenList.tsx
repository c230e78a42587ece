import { Button, Group, Table, Text } from '@mantine/core';
import { useSuspenseQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { $api } from '../../api/client';
import { refresh } from '../../api/refresh';
import { boxNow, formatDateTime } from '../../lib/time';
import { Card } from '../../ui/Card';
import { ProblemLine } from '../../ui/ProblemLine';
import { tokensQuery } from './queries';

/** The tokens that still let machines into this room. What they read is never shown again. */
export function TokenList({ roomId }: { roomId: string }) {
  const { t, i18n } = useTranslation();
  const { items } = useSuspenseQuery(tokensQuery).data;
  const remove = $api.useMutation('delete', '/api/v1/site_tokens/{id}', {
    onSuccess: () => refresh(tokensQuery),
  });
  const valid = items.filter(
    (token) => token.room_id === roomId && token.uses_left > 0 && token.expires_at > boxNow(),
  );
  if (valid.length === 0) return null;
  return (
    <Card title={t('machines.tokens')} isFlush>
      <ProblemLine error={remove.error} />
      <Table>
        <Table.Tbody>
          {valid.map((token) => (
            <Table.Tr key={token.id}>
              <Table.Td>
                <Group justify="space-between">
                  <Text>
                    {t('machines.token_left', {
                      count: token.uses_left,
                      until: formatDateTime(i18n.language, token.expires_at),
                    })}
                  </Text>
                  <Button
                    variant="subtle"
                    color="air"
                    size="compact-md"
                    onClick={() => remove.mutate({ params: { path: { id: token.id } } })}
                  >
                    {t('machines.token_withdraw')}
                  </Button>
                </Group>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Card>
  );
}
