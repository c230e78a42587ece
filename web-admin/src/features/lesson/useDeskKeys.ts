/**
 * One key for what must be quick. By the key's place, not its letter: B is И on a Russian keyboard.
 */
import { useEffect, useEffectEvent } from 'react';

export type DeskKey = 'KeyB' | 'KeyF' | 'KeyM' | 'Slash';

export type DeskKeys = Record<DeskKey, () => void>;

export function useDeskKeys(keys: DeskKeys): void {
  // Always what the keys mean on the page as it stands: a switch is pressed twice in a row.
  const onKeyDown = useEffectEvent((event: KeyboardEvent) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (isTyping(event.target) || !isDeskKey(event.code)) return;
    event.preventDefault();
    keys[event.code]();
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent) => onKeyDown(event);
    addEventListener('keydown', listener);
    return () => removeEventListener('keydown', listener);
  }, []);
}

function isDeskKey(code: string): code is DeskKey {
  return code === 'KeyB' || code === 'KeyF' || code === 'KeyM' || code === 'Slash';
}

/** A letter typed into a field, or while a dialog asks something, is not a command. */
function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.closest(
      'input:not([type=checkbox]), textarea, select, [role=dialog], [role=listbox]',
    ) !== null
  );
}
