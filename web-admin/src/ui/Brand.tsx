import classes from './Brand.module.css';

/** The mark: a gable, a blackboard, a lamp. */
export function Brand({ name }: { name?: string }) {
  return (
    <span className={classes.brand}>
      <svg viewBox="0 0 32 32" width="30" height="30" aria-hidden>
        <rect width="32" height="32" rx="9" fill="var(--mantine-color-pine-7)" />
        <path
          d="M8 23 16 8l8 15"
          fill="none"
          stroke="#fff"
          strokeWidth="3.2"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
        <circle cx="16" cy="20.5" r="2.6" fill="var(--al-lamp)" />
      </svg>
      {name !== undefined && <span className={classes.name}>{name}</span>}
    </span>
  );
}
