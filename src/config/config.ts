/** The checked, frozen configuration: what main.ts and serve.ts hand to the layers below. load.ts makes it. */
import type { DaemonFilterRules } from '../filter/daemon.ts';
import type { Limits } from '../limits.ts';
import type { LogTransfers } from '../observe/transfer-log.ts';
import type { AccessList } from './acl.ts';
import type { FileRecord } from './file-record.ts';
import type { ListenAddress } from './listen-address.ts';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type AuthDigest = 'sha512' | 'sha256' | 'sha1' | 'md5' | 'md4';

/** Login of a module. Passwords stay behind a function so that no dump of the configuration shows them. */
export interface ModuleAuth {
  /** Names that may log in, in configuration order. */
  readonly users: readonly string[];
  /** Weakest digest accepted (1-session.md 2.6). */
  readonly digest: AuthDigest;
  /** The password's bytes, or null when the user is not in `users` or has no line in the secrets file. */
  passwordOf(user: Buffer): Buffer | null;
}

export interface ModuleConfig {
  readonly name: string;
  /** Absolute path of a directory that existed at load. */
  readonly path: string;
  readonly comment: string;
  /** Whether the module list shows it. */
  readonly list: boolean;
  readonly access: AccessList;
  /** null: anonymous. */
  readonly auth: ModuleAuth | null;
  /** 0: no limit of its own. */
  readonly maxConnections: number;
  /** Clients that may wait for one of `maxConnections` places, 0: none, and how long. */
  readonly queue: { readonly places: number; readonly timeoutSec: number };
  /** For all its sessions together; 0: no limit of its own. */
  readonly bytesPerSecond: number;
  /** The module's own rules, parsed once for errors; files already read. */
  readonly rules: DaemonFilterRules;
  readonly numericIds: boolean;
  readonly timeoutSec: number;
  readonly ignoreNonreadable: boolean;
  readonly mungeSymlinks: boolean;
  /** As written and as a function over st_mode; null: modes are sent as they are. */
  readonly outgoingChmod: { readonly text: string; readonly apply: (mode: number) => number } | null;
  /** rsync's refuse-option syntax, one entry per element. */
  readonly refuseOptions: readonly string[];
  readonly openNoatime: boolean;
  /** Extended attributes and ACLs are served. */
  readonly xattrs: boolean;
  /** Name patterns sent uncompressed; null: the built-in list. */
  readonly dontCompress: readonly string[] | null;
  readonly logTransfers: LogTransfers;
  /** Share of files that log_transfers = "file" logs, 0 to 1. */
  readonly logSample: number;
  /** How long clients share a scan; 0: each has its own. */
  readonly listCacheSec: number;
  /** From the module root, without leading slash; empty: none. */
  readonly generationFile: string;
}

/** What a listener of each kind needs beside its address; names of files are absolute, and the files were not looked at. */
export type ListenerSettings = ProxySettings &
  (
    | { readonly kind: 'rsyncd' }
    | { readonly kind: 'anon_ssh'; readonly hostKeyPath: string }
    | { readonly kind: 'authorized_ssh'; readonly hostKeyPath: string; readonly authorizedKeysPath: string }
    | { readonly kind: 'tls'; readonly certificatePath: string; readonly keyPath: string }
  );

export interface ProxySettings {
  /** Networks of the proxies, at least one: each connection must come from there and begin with a PROXY header. Absent: none does. */
  readonly proxyTrusted?: readonly string[];
}

export type ListenerConfig = ListenerSettings & { readonly address: ListenAddress };

/** Everything the operator decided. Plain data and functions; deeply frozen except for the bytes in Buffers. */
export interface Config {
  /** The file it was read from; null when flags alone made it. */
  readonly file: string | null;
  /** May be empty: inherited sockets, or the default address, are the caller's choice then. */
  readonly listeners: readonly ListenerConfig[];
  /** Where metrics and the status page are served. */
  readonly monitoring: readonly ListenAddress[];
  /** At least one, names distinct, in configuration order. */
  readonly modules: readonly ModuleConfig[];
  /** Message of the day as it goes to clients, without the final extra line feed; null: none. */
  readonly motd: Buffer | null;
  readonly timeoutSec: number;
  /** For all sessions together; 0: no limit. */
  readonly bytesPerSecond: number;
  /** Event loops; 0: one per core, at most 8. */
  readonly workers: number;
  readonly logLevel: LogLevel;
  readonly logTransfers: LogTransfers;
  readonly logFormat: 'json' | 'text';
  /** Defaults with [limits], max_connections and max_connections_per_address applied. */
  readonly limits: Readonly<Limits>;
  /** Root gets no root directory of its own, only Landlock and seccomp. */
  readonly dontNamespace: boolean;
  /** Things that are allowed but that the operator should know; one line each. */
  readonly warnings: readonly string[];
}

/** What the command line adds to or puts over the file. */
export interface ConfigFlags {
  /** --config; null: the usual places. */
  readonly file: string | null;
  /** --gokr.listen: replaces the file's rsyncd listeners. */
  readonly listen: string | null;
  /** --gokr.anonssh_listen: replaces the file's anon_ssh listeners. */
  readonly anonSshListen: string | null;
  /** --gokr.monitoring_listen: replaces the file's http_monitoring listeners. */
  readonly monitoringListen: string | null;
  /** --port and --address: replace that part of each rsyncd listener, as in rsync --daemon. */
  readonly port: string | null;
  readonly address: string | null;
  /** --gokr.modulemap NAME=PATH: adds a module, or moves the file's module of that name. */
  readonly modules: readonly string[];
}

/** What loading needs to know of the process; passed in so that nothing here reads the environment. */
export interface LoadContext {
  /** $CREDENTIALS_DIRECTORY of systemd, where secrets are looked up first; null when there is none. */
  readonly credentialsDirectory: string | null;
  /** Secrets must belong to root or to this user. */
  readonly uid: number;
  /** Our group, which rsyncd.conf's `gid` may name; absent where there are no groups. */
  readonly gid?: number;
  /** Where relative names start when no file is read; absent: in the working directory. */
  readonly directory?: string;
  /** Where files are read through when the start has two stages; absent: from the disk alone. */
  readonly record?: FileRecord | undefined;
}
