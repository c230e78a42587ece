/** What the box holds to, and what a page therefore offers no more of. */

/** Characters of a password. */
export const PASSWORD_MIN = 8;

/** Characters of a passphrase that guards the site file. */
export const PASSPHRASE_MIN = 12;

/** So many students share a machine at most. */
export const SEAT_HOLDS = 2;
