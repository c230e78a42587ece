import { Center, Loader } from '@mantine/core';
import { useTranslation } from 'react-i18next';

/** While a page is read. */
export function Waiting() {
  const { t } = useTranslation();
  return (
    <Center mih="60vh">
      <Loader type="dots" aria-label={t('ui.loading')} />
    </Center>
  );
}
