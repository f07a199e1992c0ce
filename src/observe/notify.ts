/**
 * Tells the service manager how we are (sd_notify(3)): READY, STATUS, WATCHDOG, RELOADING, STOPPING; cli/serve.ts calls it.
 *
 * One datagram a message, `KEY=value` lines. NOTIFY_SOCKET says where to; WATCHDOG_USEC how often it wants to hear of us.
 */

import { writeSync } from 'node:fs';

/** Sends one message. Never throws, never waits: a message that does not fit is lost. */
export type NotifySink = (message: string) => void;

/** The optional native package; it needs libsystemd, which the minimal root does not have. */
const PACKAGE = 'sd-notify';

/** How often a changed status is told. Shorter buys nothing: it is read by people. */
const STATUS_INTERVAL_MS = 2000;

/** Messages within the time that the manager allows: one may come late. */
const WATCHDOG_SHARE = 3;

type Environment = Readonly<Record<string, string | undefined>>;

/** A sink over a connected datagram socket. */
export function descriptorSink(fd: number): NotifySink {
  return (message) => {
    try {
      writeSync(fd, message);
    } catch {
      // The manager is busy or restarting. The next message comes soon, and serving goes on without it.
    }
  };
}

/** The sink of the package sd-notify; null where it is not installed. */
export async function packageSink(): Promise<NotifySink | null> {
  try {
    const library = (await import(PACKAGE)) as { sendState(message: string): void };
    return (message) => {
      try {
        library.sendState(message);
      } catch {
        // As above.
      }
    };
  } catch {
    return null;
  }
}

/** Time between two signs of life in milliseconds; null when the manager of this process wants none. */
export function watchdogIntervalMs({ WATCHDOG_USEC, WATCHDOG_PID }: Environment, pid: number): number | null {
  if (WATCHDOG_USEC === undefined || !/^\d{1,15}$/.test(WATCHDOG_USEC)) return null;
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(pid)) return null;
  const microseconds = Number(WATCHDOG_USEC);
  return microseconds === 0 ? null : Math.max(1, Math.floor(microseconds / 1000 / WATCHDOG_SHARE));
}

/** What the service manager hears of one process. */
export class ServiceNotifier {
  readonly #send: NotifySink;
  readonly #watchdogMs: number | null;
  readonly #timers: NodeJS.Timeout[] = [];
  #lastStatus = '';

  constructor(send: NotifySink, watchdogMs: number | null) {
    this.#send = send;
    this.#watchdogMs = watchdogMs;
  }

  /**
   * Says that we serve, and from here on what `status` returns whenever that changes, and that the event loop turns.
   * @param status one line.
   * @param isWell false keeps signs of life back, after which the manager starts us again.
   */
  ready(status: () => string, isWell: () => boolean = () => true): void {
    this.#lastStatus = status();
    this.#send(`READY=1\nSTATUS=${this.#lastStatus}`);
    this.#every(STATUS_INTERVAL_MS, () => this.#tell(status()));
    if (this.#watchdogMs !== null) this.#every(this.#watchdogMs, () => isWell() && this.#send('WATCHDOG=1'));
  }

  /** Says that the configuration is being read again; the service goes on meanwhile. */
  reloading(): void {
    // The clock is CLOCK_MONOTONIC, as Type=notify-reload of systemd 253 wants it to tell this reload from an older one.
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /** Ends what `reloading` began, also when the old configuration stayed. */
  reloaded(): void {
    this.#send('READY=1');
  }

  /** Says that we end; the signs of life go on while the last sessions finish. */
  stopping(): void {
    this.#send('STOPPING=1');
  }

  /** Ends the timers; the process may end. */
  close(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  #tell(status: string): void {
    if (status === this.#lastStatus) return;
    this.#lastStatus = status;
    this.#send(`STATUS=${status}`);
  }

  #every(ms: number, action: () => unknown): void {
    const timer = setInterval(action, ms);
    timer.unref();
    this.#timers.push(timer);
  }
}
