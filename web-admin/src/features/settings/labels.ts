/** Settings are named by dotted keys; the catalogue has them with underscores. */
import type { TFunction } from 'i18next';

import en from '../../i18n/en.json';

/** `undefined` for a setting of a newer box: the page then shows the box's own description. */
export function settingLabel(t: TFunction, key: string): string | undefined {
  const name = key.replaceAll('.', '_');
  return isKnown(name) ? t(`setting.${name}`) : undefined;
}

function isKnown(name: string): name is keyof typeof en.setting {
  return name in en.setting;
}
