import {
  Avatar,
  Menu,
  UnstyledButton,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { IconLanguage, IconLogout, IconMoon, IconSun } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { api } from '../../api/client';
import { enterAs, rememberMe, useMe } from '../../api/session';
import type { Language } from '../../api/types';
import { currentLanguage, speak } from '../../i18n';
import { initials } from '../../lib/names';

/** Who is signed in, and what is theirs alone: language, light or dark, the way out. */
export function PersonMenu() {
  const { t } = useTranslation();
  const me = useMe();
  // What one sees, which may be the computer's own choice.
  const isDark = useComputedColorScheme('light') === 'dark';
  const { setColorScheme } = useMantineColorScheme();
  const logOut = useMutation({
    mutationFn: async () => {
      await api.DELETE('/api/v1/session');
      await enterAs(null);
    },
  });
  const change = useMutation({
    mutationFn: async (language: Language) => {
      speak(language);
      const { data } = await api.PATCH('/api/v1/me', { body: { language } });
      if (data !== undefined) rememberMe(data);
    },
  });
  const other: Language = currentLanguage() === 'ru' ? 'en' : 'ru';

  return (
    <Menu position="bottom-end" width={240} shadow="md">
      <Menu.Target>
        <UnstyledButton aria-label={t('session.menu', { name: me.full_name })}>
          <Avatar aria-hidden color="pine" radius="xl">
            {initials(me.full_name)}
          </Avatar>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{me.full_name}</Menu.Label>
        <Menu.Item
          leftSection={<IconLanguage size={18} aria-hidden />}
          onClick={() => change.mutate(other)}
          lang={other}
        >
          {t('session.other_language')}
        </Menu.Item>
        <Menu.Item
          leftSection={
            isDark ? <IconSun size={18} aria-hidden /> : <IconMoon size={18} aria-hidden />
          }
          onClick={() => setColorScheme(isDark ? 'light' : 'dark')}
        >
          {isDark ? t('session.light') : t('session.dark')}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item
          leftSection={<IconLogout size={18} aria-hidden />}
          onClick={() => logOut.mutate()}
        >
          {t('session.log_out')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
