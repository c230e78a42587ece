/**
 * The heart of the pages: a lesson that is on.
 *
 * Left the stage (what the class sees) and the console (what the teacher may do about it), right
 * who is here and how the picture arrives. It fits a 1280x720 screen without scrolling.
 */
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Lesson } from '../../api/types';
import { Console } from './Console';
import classes from './Desk.module.css';
import { DeskBar } from './DeskBar';
import { KeyHelp } from './KeyHelp';
import { studio } from './media/studio';
import { PeopleCard } from './PeopleCard';
import { PictureCard } from './PictureCard';
import { Stage } from './Stage';
import { togglePicture, useDesk } from './useDesk';
import { useDeskKeys } from './useDeskKeys';

export function Desk({ lesson }: { lesson: Lesson }) {
  const { t } = useTranslation();
  const desk = useDesk(lesson);
  const [isHelpOpen, setIsHelpOpen] = useState(false);

  useDeskKeys({
    KeyB: () => togglePicture(desk, 'blank'),
    KeyF: () => togglePicture(desk, 'frozen'),
    KeyM: () => studio.toggleMute(),
    Slash: () => setIsHelpOpen((isOpen) => !isOpen),
  });
  const { limits } = desk.stream;
  useEffect(() => studio.follow(lesson.id, limits), [lesson.id, limits]);
  useDocumentTitle(`${t(`lesson.lamp.${desk.lamp}`)} · ${lesson.class_name}`);
  useLeaveWarning(desk.studio.screen !== null);

  return (
    <div className={classes.desk} data-lamp={desk.lamp}>
      <DeskBar desk={desk} />
      <main className={classes.main}>
        <section className={classes.left} aria-label={t('lesson.stage')}>
          <Stage desk={desk} />
          <Console desk={desk} onHelp={() => setIsHelpOpen(true)} />
        </section>
        <aside className={classes.right}>
          <PeopleCard lesson={lesson} maySeat={desk.may.seat} />
          <PictureCard desk={desk} />
        </aside>
      </main>
      <KeyHelp isOpen={isHelpOpen} onClose={() => setIsHelpOpen(false)} />
    </div>
  );
}

function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = title;
    return () => {
      document.title = 'Alfarid';
    };
  }, [title]);
}

/** A reload takes the screen off the air, and only a person can pick it again. */
function useLeaveWarning(isNeeded: boolean): void {
  useEffect(() => {
    if (!isNeeded) return undefined;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', warn);
    return () => removeEventListener('beforeunload', warn);
  }, [isNeeded]);
}
