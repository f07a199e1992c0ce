/** Listening addresses, "host:port", as the configuration and --gokr.listen write them. */
import { isIP } from 'node:net';
import { ConfigError } from '../errors.ts';

export interface ListenAddress {
  /** IP address or host name, without brackets; `::` stands for every address of both families. */
  readonly host: string;
  /** 0…65535; 0 lets the system choose. */
  readonly port: number;
}

/** Port of rsync daemons (IANA). */
export const RSYNC_PORT = 873;

const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/;

/** Parses a port of at most five digits; throws ConfigError without place. */
export function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
    throw new ConfigError(`"${text}" is not a port: expected a number from 0 to 65535`);
  }
  return Number(text);
}

/** Checks a host: an IP address without brackets, or a name. `*` or nothing is every address. Throws ConfigError without place. */
export function parseHost(text: string): string {
  if (text === '' || text === '*') {
    return '::';
  }
  // All-digit labels are a mistyped IPv4 address: the resolver would read "010.1" as something else.
  if (isIP(text) === 0 && (!HOST_NAME.test(text) || /^[\d.]+$/.test(text))) {
    throw new ConfigError(`"${text}" is neither an IP address nor a host name`);
  }
  return text;
}

/**
 * Parses "[::]:873", "0.0.0.0:873", ":873" or "localhost:0".
 * @throws ConfigError without place.
 */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(text);
  if (match === null) {
    const hint = isIP(text) === 6 || text.split(':').length > 2 ? '; IPv6 needs brackets' : '';
    throw new ConfigError(`"${text}" is not an address and port: expected "[::]:873" or "127.0.0.1:873"${hint}`);
  }
  const [, bracketed, plain, port] = match;
  if (bracketed !== undefined && isIP(bracketed) !== 6) {
    throw new ConfigError(`"${text}": brackets hold an IPv6 address, as "[::1]:873"`);
  }
  return { host: bracketed ?? parseHost(plain ?? ''), port: parsePort(port ?? '') };
}

/** The address as it is written in the configuration. */
export function formatListenAddress({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
