/**
 * The two languages of the pages.
 *
 * Both catalogues are in the bundle: there may be no network to fetch the other one from. A
 * signed-in person's choice comes first, then what this browser used last, then what it asks for.
 */
import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';

import type { Language } from '../api/types';
import en from './en.json';
import ru from './ru.json';

const REMEMBERED = 'alfarid.language';

declare module 'i18next' {
  interface CustomTypeOptions {
    resources: { translation: typeof en };
  }
}

export async function startI18n(): Promise<void> {
  await i18next.use(initReactI18next).init({
    resources: { en: { translation: en }, ru: { translation: ru } },
    lng: browserLanguage(),
    fallbackLng: 'en',
    // The library would otherwise advertise itself in every browser's console.
    showSupportNotice: false,
    // React escapes already.
    interpolation: { escapeValue: false },
  });
  markDocument();
}

/** Switches the pages, and this browser from now on. */
export function speak(language: Language): void {
  remember(language);
  if (i18next.language === language) return;
  void i18next.changeLanguage(language).then(markDocument);
}

export function currentLanguage(): Language {
  return i18next.language === 'ru' ? 'ru' : 'en';
}

function browserLanguage(): Language {
  const wanted = remembered() ?? navigator.language;
  return wanted.toLowerCase().startsWith('ru') ? 'ru' : 'en';
}

// A browser that keeps nothing (private mode, a locked-down school profile) may throw here.
function remembered(): string | null {
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

function remember(language: Language): void {
  try {
    localStorage.setItem(REMEMBERED, language);
  } catch {
    // The next visit starts from the browser's own language: no harm.
  }
}

function markDocument(): void {
  document.documentElement.lang = currentLanguage();
}
