/** Names of people, as they are said and written. */

/** The register's way: the family name and an initial. A number or a lone name stays whole. */
export function shortName(fullName: string): string {
  const [family = '', given = ''] = fullName.trim().split(/\s+/);
  const [initial] = given;
  if (initial === undefined || !/\p{L}/u.test(initial)) return `${family} ${given}`.trim();
  return `${family} ${initial}.`;
}

/**
 * What to call a person: Russian names are written family name first and greeted without it,
 * "Петрова Мария Ивановна" being "Мария Ивановна"; shorter names are left whole.
 */
export function givenName(fullName: string): string {
  const parts = fullName.trim().split(/\s+/);
  return parts.length === 3 ? parts.slice(1).join(' ') : fullName;
}

/** For the round mark of a person: at most two letters. */
export function initials(fullName: string): string {
  const parts = fullName.trim().split(/\s+/).slice(0, 2);
  return parts.map((part) => part.charAt(0).toUpperCase()).join('');
}
