import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { isForbidden, problemText } from '../../api/problem';
import type { Person } from '../../api/types';
import { isCovered } from '../../lib/privacy';
import { useStore } from '../../lib/store';
import { formatTime } from '../../lib/time';
import { Covered } from '../../ui/Covered';
import classes from './Cards.module.css';
import { peopleQuery } from './queries';

/** Who is here, as it happens. Names leave the page while the whole screen is on air; counts stay. */
export function PeopleCard({ lessonId }: { lessonId: string }) {
  const { t } = useTranslation();
  // A colleague may look at the lesson, but who is here is its own teacher's to know.
  const { data, error } = useQuery(peopleQuery(lessonId));
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
      {!covered && data !== undefined && <Tiles people={people} />}
      {data === undefined && error !== null && (
        <p className={classes.empty}>
          {isForbidden(error) ? t('lesson.people_not_yours') : problemText(t, error)}
        </p>
      )}
    </section>
  );
}

function Tiles({ people }: { people: Person[] }) {
  const { t, i18n } = useTranslation();
  if (people.length === 0) return <p className={classes.empty}>{t('lesson.people_empty')}</p>;
  const collator = new Intl.Collator(i18n.language, { numeric: true });
  const place = (person: Person) => `${person.machine_name ?? '\uffff'} ${person.full_name}`;
  const sorted = people.toSorted((a, b) => collator.compare(place(a), place(b)));
  return (
    <ul className={classes.tiles}>
      {sorted.map((person) => (
        <Tile key={person.student_id} person={person} />
      ))}
    </ul>
  );
}

/** One line for one person, so that a whole class is seen at a glance; the rest is in the title. */
function Tile({ person }: { person: Person }) {
  const { t, i18n } = useTranslation();
  const { state, machine_name: machine, joined_at: joinedAt } = person;
  const words = t(`lesson.person.${state}`);
  const since =
    joinedAt == null ? '' : t('lesson.person.since', { time: formatTime(i18n.language, joinedAt) });
  const where = machine ?? t('lesson.no_machine');
  return (
    <li
      className={classes.tile}
      data-state={state}
      title={[person.full_name, where, words, since].filter((part) => part !== '').join(' · ')}
    >
      <span className={classes.name}>{shortName(person.full_name)}</span>
      <span className={classes.where}>
        {state === 'present' ? where : t(`lesson.person_short.${state}`)}
      </span>
    </li>
  );
}

/** The register's way: the family name and an initial. */
function shortName(fullName: string): string {
  const [first = '', second] = fullName.trim().split(/\s+/);
  return second === undefined ? first : `${first} ${second.charAt(0)}.`;
}
