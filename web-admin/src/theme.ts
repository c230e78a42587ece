/**
 * The look: a blackboard, chalk, and one red lamp.
 *
 * Neutrals lean towards the green of a blackboard, pine is what one may press, and vermilion is
 * kept for a single meaning: on air. Frost is a frozen picture, amber a thing to look at. Both
 * schemes are set here; stylesheets use the `--al-*` tokens and Mantine's, never a colour.
 */
import {
  Button,
  createTheme,
  type CSSVariablesResolver,
  Modal,
  PasswordInput,
  Select,
  Table,
  TableScrollContainer,
  TextInput,
} from '@mantine/core';

export const theme = createTheme({
  primaryColor: 'pine',
  primaryShade: { light: 7, dark: 6 },
  colors: {
    pine: [
      '#ecf7f2',
      '#d8ece4',
      '#b0dacb',
      '#85c7b0',
      '#61b698',
      '#4aab8a',
      '#22836a',
      '#14624f',
      '#0f4f40',
      '#093a2f',
    ],
    air: [
      '#fff0ed',
      '#ffdcd5',
      '#fbb8ab',
      '#f69280',
      '#f27059',
      '#ee5b42',
      '#d03a27',
      '#c03322',
      '#9f2919',
      '#7a1e11',
    ],
    frost: [
      '#ebf5fd',
      '#d6e8f8',
      '#a9cff0',
      '#7ab5e8',
      '#559fe1',
      '#4090dd',
      '#2b7cc4',
      '#1f66a6',
      '#185288',
      '#0f3c66',
    ],
    amber: [
      '#fff6e3',
      '#fdeacb',
      '#f8d399',
      '#f3bb63',
      '#efa738',
      '#ed9b1e',
      '#c97f0b',
      '#9a6000',
      '#7b4c00',
      '#5c3800',
    ],
    gray: [
      '#f6f8f6',
      '#eef1ee',
      '#e1e6e2',
      '#cfd6d1',
      '#b3bdb7',
      '#8f9c95',
      '#6c7972',
      '#525f59',
      '#38443f',
      '#222b27',
    ],
    dark: [
      '#e4ece8',
      '#bccac3',
      '#93a29b',
      '#6f7f78',
      '#43524c',
      '#2e3b36',
      '#222d29',
      '#18211e',
      '#101816',
      '#0a100e',
    ],
  },
  fontFamily: '"Golos Text Variable", system-ui, sans-serif',
  headings: {
    fontFamily: '"Literata Variable", Georgia, serif',
    fontWeight: '560',
    sizes: {
      h1: { fontSize: '1.875rem', lineHeight: '1.2' },
      h2: { fontSize: '1.375rem', lineHeight: '1.25' },
      h3: { fontSize: '1.0625rem', lineHeight: '1.3' },
    },
  },
  defaultRadius: 'md',
  radius: { xs: '4px', sm: '6px', md: '9px', lg: '14px', xl: '22px' },
  cursorType: 'pointer',
  focusRing: 'auto',
  components: {
    Button: Button.extend({ defaultProps: { fw: 550 } }),
    Modal: Modal.extend({
      defaultProps: { centered: true, radius: 'lg', padding: 'lg' },
      styles: {
        content: { background: 'var(--al-card)' },
        header: { background: 'var(--al-card)' },
        title: {
          fontFamily: 'var(--mantine-font-family-headings)',
          fontSize: '1.25rem',
          fontWeight: 560,
        },
      },
    }),
    Select: Select.extend({ defaultProps: { size: 'md', allowDeselect: false } }),
    TextInput: TextInput.extend({ defaultProps: { size: 'md' } }),
    PasswordInput: PasswordInput.extend({ defaultProps: { size: 'md' } }),
    // The browser's own scrolling: Mantine's leaves an empty strip under every table.
    TableScrollContainer: TableScrollContainer.extend({
      defaultProps: { type: 'native' },
      // A heading that is there for screen readers alone moves with its table, and not the page.
      styles: { scrollContainer: { position: 'relative' } },
    }),
    Table: Table.extend({
      defaultProps: {
        verticalSpacing: 'sm',
        horizontalSpacing: 'md',
        borderColor: 'var(--al-line)',
        highlightOnHoverColor: 'var(--al-sunk)',
        fz: '0.9375rem',
      },
    }),
  },
});

/** Mantine's light and subtle variants in our own soft tones. */
const SOFT = {
  '--mantine-color-pine-light': 'var(--al-pine-soft)',
  '--mantine-color-pine-light-hover': 'color-mix(in srgb, var(--al-pine-soft) 85%, var(--al-pine))',
  '--mantine-color-pine-light-color': 'var(--al-pine)',
  '--mantine-color-air-light': 'var(--al-air-soft)',
  '--mantine-color-air-light-hover': 'color-mix(in srgb, var(--al-air-soft) 85%, var(--al-air))',
  '--mantine-color-air-light-color': 'var(--al-air)',
  '--mantine-color-amber-light': 'var(--al-amber-soft)',
  '--mantine-color-amber-light-hover':
    'color-mix(in srgb, var(--al-amber-soft) 85%, var(--al-amber))',
  '--mantine-color-amber-light-color': 'var(--al-amber)',
};

export const tokens: CSSVariablesResolver = () => ({
  variables: {
    // The stage is a blackboard in both schemes.
    '--al-stage': '#0c1412',
    '--al-stage-ink': '#e6efea',
    '--al-stage-dim': '#8fa39a',
    '--al-lamp': '#f0553c',
  },
  light: {
    ...SOFT,
    '--mantine-color-body': '#f3f5f2',
    '--mantine-color-text': '#17211d',
    '--mantine-color-dimmed': '#55635c',
    '--mantine-color-default-border': '#d5dcd7',
    '--mantine-color-placeholder': '#68756e',
    '--al-card': '#ffffff',
    '--al-line': '#dfe5e0',
    '--al-sunk': '#e9eeea',
    '--al-pine': '#14624f',
    '--al-pine-soft': '#e1efe9',
    '--al-air': '#bf3221',
    '--al-air-soft': '#fce7e2',
    '--al-frost': '#1f66a6',
    '--al-frost-soft': '#e4eff9',
    '--al-amber': '#8d5800',
    '--al-amber-soft': '#fdf1da',
    '--al-shadow': '0 1px 2px rgb(20 40 33 / 5%), 0 6px 20px rgb(20 40 33 / 5%)',
  },
  dark: {
    ...SOFT,
    '--mantine-color-body': '#101816',
    '--mantine-color-text': '#e4ece8',
    '--mantine-color-dimmed': '#93a59c',
    '--mantine-color-default': '#1a2421',
    '--mantine-color-default-hover': '#212d29',
    '--mantine-color-default-border': '#2f3d38',
    '--mantine-color-placeholder': '#82938b',
    '--al-card': '#18211e',
    '--al-line': '#27332f',
    '--al-sunk': '#131c19',
    '--al-pine': '#6cc3a5',
    '--al-pine-soft': '#17332b',
    '--al-air': '#ff7a64',
    '--al-air-soft': '#3a1d18',
    '--al-frost': '#83bdf0',
    '--al-frost-soft': '#172c40',
    '--al-amber': '#eab75e',
    '--al-amber-soft': '#352a14',
    '--al-shadow': '0 1px 2px rgb(0 0 0 / 30%)',
  },
});
