import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

/** Where `npm run dev` finds a running box; its certificate is its own, so it is not checked. */
const box = process.env.ALFARID_BOX ?? 'https://localhost:8443';

export default defineConfig({
  plugins: [react()],
  build: {
    // The daemon embeds this folder; whatever is under /assets carries a hash and is cached for good.
    outDir: 'dist',
    assetsDir: 'assets',
    // CSP allows no data: scripts or fonts, so nothing is inlined.
    assetsInlineLimit: 0,
    target: ['chrome115', 'firefox115', 'safari17'],
    rolldownOptions: {
      output: {
        // The libraries change rarely and the pages often: apart, an update costs a browser little.
        codeSplitting: {
          groups: [{ name: 'vendor', test: /node_modules/ }],
        },
      },
    },
  },
  server: {
    proxy: {
      '/api': { target: box, secure: false, ws: true, changeOrigin: true },
    },
  },
  test: {
    environment: 'jsdom',
    // A world of its own for each file: what one leaves behind must not decide another's test.
    pool: 'threads',
    setupFiles: ['src/test.setup.ts'],
    // Languages and clocks differ between machines; the tests do not.
    env: { TZ: 'UTC' },
  },
});
