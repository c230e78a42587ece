import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { isForbidden, problemText } from '../../api/problem';
import type { Lesson, Person } from '../../api/types';
import { shortName } from '../../lib/names';
import { isCovered } from '../../lib/privacy';
import { useStore } from '../../lib/store';
import { formatTime } from '../../lib/time';
import { Covered } from '../../ui/Covered';
import type { Verdict } from '../../ui/VerdictButton';
import classes from './Cards.module.css';
import { peopleQuery } from './queries';
import { SeatDialog } from './SeatDialog';

interface Props {
  lesson: Lesson;
  /** Whether a press on a student moves them. */
  maySeat: Verdict;
}

/** Who is here, as it happens. Names leave the page while the whole screen is on air; counts stay. */
export function PeopleCard({ lesson, maySeat }: Props) {
  const { t } = useTranslation();
  // A colleague may look at the lesson, but who is here is its own teacher's to know.
  const { data, error } = useQuery(peopleQuery(lesson.id));
  const people = data?.items ?? [];
  const covered = useStore(isCovered);
  const present = people.filter(({ state }) => state === 'present').length;

  return (
    <section className={classes.card} aria-label={t('lesson.people')}>
      <header className={classes.head}>
        <h2 className={classes.title}>{t('lesson.people')}</h2>
        {data !== undefined && (
          <span className={classes.count}>
            {t('lesson.people_count', { present, all: people.length })}
          </span>
        )}
      </header>
      {covered && <Covered />}
      {!covered && data !== undefined && (
        <Tiles lesson={lesson} people={people} maySeat={maySeat} />
      )}
      {data === undefined && error !== null && (
        <p className={classes.empty}>
          {isForbidden(error) ? t('lesson.people_not_yours') : problemText(t, error)}
        </p>
      )}
    </section>
  );
}

function Tiles({ lesson, people, maySeat }: Props & { people: Person[] }) {
  const { t, i18n } = useTranslation();
  const [moved, setMoved] = useState<Person | null>(null);
  if (people.length === 0) return <p className={classes.empty}>{t('lesson.people_empty')}</p>;
  const collator = new Intl.Collator(i18n.language, { numeric: true });
  const place = (person: Person) => `${person.machine_name ?? '\uffff'} ${person.full_name}`;
  const sorted = people.toSorted((a, b) => collator.compare(place(a), place(b)));
  return (
    <>
      <ul className={classes.tiles}>
        {sorted.map((person) => (
          <li key={person.student_id}>
            <Tile person={person} maySeat={maySeat} onMove={() => setMoved(person)} />
          </li>
        ))}
      </ul>
      {moved !== null && (
        <SeatDialog lesson={lesson} people={people} moved={moved} onClose={() => setMoved(null)} />
      )}
    </>
  );
}

interface TileProps {
  person: Person;
  maySeat: Verdict;
  onMove: () => void;
}

/** One line for one person, so that a whole class is seen at a glance; the rest is in the title. */
function Tile({ person, maySeat, onMove }: TileProps) {
  const { t, i18n } = useTranslation();
  const { state, machine_name: machine, joined_at: joinedAt, present_by: by } = person;
  const since =
    joinedAt == null ? '' : t('lesson.person.since', { time: formatTime(i18n.language, joinedAt) });
  const where = by === 'page' ? t('lesson.own_page') : (machine ?? t('lesson.no_machine'));
  const facts = [person.full_name, where, t(`lesson.person.${state}`), since];
  return (
    <button
      type="button"
      className={classes.tile}
      data-state={state}
      title={facts.filter((fact) => fact !== '').join(' · ')}
      aria-haspopup="dialog"
      disabled={!maySeat.ok}
      onClick={onMove}
    >
      <span className={classes.name}>{shortName(person.full_name)}</span>
      <span className={classes.where}>
        {state === 'present' ? where : t(`lesson.person_short.${state}`)}
      </span>
    </button>
  );
}
