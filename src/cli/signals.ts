/** The signals that end or change the running daemon; serve.ts and running-sessions.ts wait for them. */

/** Resolves with the next SIGTERM or SIGINT. */
export function endSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    // The listeners stay: without any, a signal between two waits would end the process on the spot.
    process.on('SIGTERM', resolve);
    process.on('SIGINT', resolve);
  });
}

/** Runs `reload`, which must not throw, for each SIGHUP from here on; without this the signal ends a process. */
export function onReloadSignal(reload: () => void): void {
  process.on('SIGHUP', reload);
}
