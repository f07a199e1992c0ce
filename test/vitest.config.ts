import { defineConfig } from 'vitest/config';

export default defineConfig({
  cacheDir: '../node_modules/.vite',
  test: {
    root: import.meta.dirname,
    // CI shares its machine: what a client that was starved of CPU has failed is tried again, and the report says so.
    retry: process.env.CI === 'true' ? 2 : 0,
    include: ['**/*.test.ts'],
    // They boot machines: npm run test:system.
    exclude: ['system/**', 'node_modules/**'],
    globalSetup: ['setup/clients.ts'],
    // Trees of 20 000 files, twice, on a disk that others use.
    testTimeout: 300_000,
    hookTimeout: 120_000,
    // Interop tests start daemons and clients of their own: two at a time is what a small machine carries.
    maxWorkers: 2,
    coverage: { include: ['../src/**'], allowExternal: true },
  },
});
