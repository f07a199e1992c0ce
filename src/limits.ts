/**
 * Every bound on what a peer can make the daemon spend (security.md B), in one record.
 *
 * `[limits]` of the configuration overrides a field under the same name. Sizes are bytes, times are milliseconds.
 * Each field says what it stops and why an honest client never meets it.
 */
export interface Limits {
  /** Sockets open at once (B-1). A session costs about 300 KiB, so the default bounds memory near 150 MiB. */
  connections: number;
  /** Connections that have not sent all their arguments (B-1): half-open floods. */
  handshakes: number;
  /** Connections per IPv4 address or IPv6 /64; loopback is exempt (B-1). */
  connectionsPerAddress: number;
  /** Connections per IPv4 /24 or IPv6 /48 (B-1). */
  connectionsPerNetwork: number;
  /** Clients that wait for a place in a module, in the queues of all modules (B-1b): a quarter of all connections. */
  queued: number;
  /** … of one IPv4 address or IPv6 /64; loopback is exempt. A machine that mirrors several modules needs one each. */
  queuedPerAddress: number;
  /** … of one IPv4 /24 or IPv6 /48. */
  queuedPerNetwork: number;
  /** Time to the greeting's first line (B-2). Clients send it at once. */
  greetingMs: number;
  /** Time from accept to the module line (B-3). */
  moduleLineMs: number;
  /** Time for the authentication answer (B-3): a person may be typing. */
  authMs: number;
  /** Time for the whole argument list, both parts (B-5). */
  argumentsMs: number;
  /** Silence inside the filter list (B-8). */
  filterIdleMs: number;
  /** Time for the whole filter list (B-8). */
  filterMs: number;
  /** Accept to the first byte of the file list (B-12). */
  preTransferMs: number;
  /** Silence in the middle of block sums (B-17). */
  sumsIdleMs: number;
  /** No progress of our output (B-18): a client that never reads. */
  outputStallMs: number;
  /** Longest session (B-25); 0 is no limit. */
  sessionMs: number;
  /** Lateness of an event loop by its own work (B-26): when it stays above this, its newest session is ended. Slices are 2 ms … */
  loopLagMs: number;
  /** … for this long. */
  loopLagForMs: number;
  /** Use of a thread's heap, in percent of what V8 allows (B-26); above it, the thread's session that holds the most is ended. */
  heapPercent: number;
  /**
   * What all sessions together keep outside of V8's heap, lists and block sums, in percent of what V8 allows for the heap of one thread
   * (B-26); above it, the session that holds the most is ended. 20 million names take 45 where V8 allows 4 GiB.
   */
  heldPercent: number;
  /** Time to wait for the peer's end of file after our last byte (1-session.md 6.5). */
  drainMs: number;
  /** Bytes read and thrown away after an error before we close (1-session.md 6.5). */
  drainBytes: number;
  /** Greeting and module line (1-session.md 2.1). */
  lineBytes: number;
  /** Authentication answer line (B-3). */
  authLineBytes: number;
  /** `#early_input=` payload (B-4). */
  earlyInputBytes: number;
  /** Arguments in both lists together (B-5). */
  args: number;
  /** One argument (B-5). */
  argBytes: number;
  /** All arguments together (B-5). */
  argsTotalBytes: number;
  /** Source arguments that hold wildcards (B-7). */
  globPatterns: number;
  /** Directory entries read while expanding wildcards (B-7). */
  globDirents: number;
  /** Names that wildcards may expand to (B-7). */
  globResults: number;
  /** CPU time for the expansion of all wildcards (B-7), waiting for others not included. 200 000 entries take a tenth of it. */
  globMs: number;
  /** Rules in a session's filter list, merge files included (B-9). */
  filterRules: number;
  /** All filter records together (B-9). */
  filterBytes: number;
  /** One filter record (1-session.md 7.1). */
  filterRecordBytes: number;
  /** One pattern (1-session.md 7.1). */
  filterPatternBytes: number;
  /** Wildmatch steps per byte of pattern plus name (B-10): linear patterns need fewer than 4. */
  wildmatchStepsPerByte: number;
  /**
   * Wildmatch steps per name, averaged over a session (B-10): stops many costly patterns in one list. 10 000 patterns
   * like `*.tmp` need 10 000 steps for a name that they do not match.
   */
  filterStepsPerName: number;
  /** One per-directory merge file (B-11). */
  mergeFileBytes: number;
  /** Nesting of merge files (B-11). */
  mergeDepth: number;
  /** Merge rules in force in one directory (B-11): each is an open() per directory. Clients use one to three. */
  mergeRules: number;
  /** Entries of one session's file list (B-13b). */
  entries: number;
  /** Names sent with --files-from (B-13c). */
  filesFromNames: number;
  /** A --files-from file inside the module (B-13c). */
  filesFromBytes: number;
  /**
   * What file_list_cache keeps for other clients (B-13), half of it directories, half of it lists as they were sent; what was used
   * longest ago goes, a tree beyond is not kept. In force from the start.
   */
  listCacheBytes: number;
  /** How long a session waits for a directory that another one is reading for file_list_cache; then it reads for itself. */
  listCacheWaitMs: number;
  /** Sums of `-c` kept for other clients (B-13f): 280 000 files; those used longest ago go. In force from the start. */
  digestCacheBytes: number;
  /** Large files read for `-c` at once, in all workers (B-13f); others wait for their turn. */
  digestReaders: number;
  /** The same for one IPv4 address or IPv6 /64; loopback is exempt (B-13f). */
  digestReadersPerAddress: number;
  /** One path, as C rsync's MAXPATHLEN - 1 (B-13d). */
  pathBytes: number;
  /** Directory depth (B-13d). */
  depth: number;
  /** Symbolic links followed while resolving one path (B-13d). */
  linkHops: number;
  /** Messages about single files sent to one client (B-13c). */
  fileMessages: number;
  /** Hard-link groups of one session (B-13g). */
  hardLinks: number;
  /** Value of one extended attribute (B-13g); Linux itself allows no more than the default. */
  xattrValueBytes: number;
  /** Values of all extended attributes of one entry (B-13g). They are read one after the other, only their sums are kept. */
  xattrEntryBytes: number;
  /**
   * Distinct attribute lists, and of each kind of ACL, that one session remembers so as to send each once (B-13g). Later
   * ones are sent every time; an entry costs about 100 bytes.
   */
  xattrLists: number;
  /** Names of the attributes whose values were left out of the list, all that a session keeps of them (B-13g). Equal sets count once. */
  xattrNameBytes: number;
  /** Block sums kept for one file (B-16); more are read and ignored. */
  blockSums: number;
  /** Bytes of block sums kept for one file (B-16). */
  blockSumBytes: number;
  /** Block sums announced for one file (B-16); more is an error. */
  blockSumsRefused: number;
  /** Candidates compared per offset in the block search (B-14). */
  matchCandidates: number;
  /** Table look-ups of one file's block search: this many per byte of the file … (B-14). Honest searches need fewer than 1. */
  matchProbesPerByte: number;
  /** … plus this many. */
  matchProbesBase: number;
  /** Bytes of strong sums that one file's block search may compute: this many per byte of the file … (B-15). A full match needs 1. */
  matchHashPerByte: number;
  /** … plus this many. */
  matchHashBase: number;
  /** Longest block that is searched for; larger ones are read and ignored. Protocols below 30 allow 512 MiB, honest files up to 1 TiB stay below. */
  matchBlockBytes: number;
  /** Compression jobs running at once in the whole process, and never more than cores: one fewer than libuv's default threads, so that file reads never wait behind them. */
  compressionJobs: number;
  /** Times that one file may be requested (B-19): first pass and redo. */
  sendsPerFile: number;
  /** Content that one session may be asked for: this many times the sizes in its list, for a redo of everything … (B-19). */
  contentPerListedByte: number;
  /** … plus this many bytes, since files may have grown between the list and the request. */
  contentBaseBytes: number;
  /** Attribute reports per file (B-20). */
  reportsPerFile: number;
  /** Keep-alives and deletion counts between the statistics and the client's goodbye; a real client sends one or two a minute. */
  goodbyeItems: number;
  /** Name in a request's extra field (B-20). */
  xnameBytes: number;
  /** A message frame, other than data, from the client (B-24). */
  messageBytes: number;
  /** Frames other than data in one second (B-24). */
  messagesPerSecond: number;
  /** Output queued for one session before it waits for the socket (B-18). */
  outputBytes: number;
  /** `#list` answer (B-13e). */
  listingBytes: number;
  /** Message of the day (B-13e). */
  motdBytes: number;
  /** Log lines about one session, its last line apart (B-26b). An honest session writes fewer than five. */
  logLinesPerSession: number;
  /** Log lines about all sessions in one second (B-26b); the rest is counted. */
  logLinesPerSecond: number;
  /** Files that log_transfers = "file" logs in one second, by each worker (B-26b); the rest is counted. About 300 bytes each. */
  logFilesPerSecond: number;
  /** SSH: what a client does without a person, each: accept to its key exchange, and login to its exec (B-27). Then `authMs` for the login. */
  sshLoginMs: number;
  /** SSH: one packet with its length field and tag (RFC 4253 6.1, B-31). Clients send at most 33 KiB. */
  sshPacketBytes: number;
  /** SSH: data that the client may have under way to us (B-31); all that one connection can make us keep. */
  sshWindowBytes: number;
  /** SSH: we change keys after this many bytes in either direction (RFC 4253 9) … */
  sshRekeyBytes: number;
  /** … or after this time, when data flows. */
  sshRekeyMs: number;
  /** SSH: the client may change keys once in this time (B-30) … */
  sshPeerRekeyMs: number;
  /** … or after this many bytes. OpenSSH does it each GiB or later unless it is told otherwise. */
  sshPeerRekeyBytes: number;
  /** SSH: messages in one minute that are neither data nor needed: ignore, debug, requests that we refuse (B-29, B-31). Keepalives come four times a minute. */
  sshMessagesPerMinute: number;
  /** SSH: failed authentication requests of one connection; OpenSSH's MaxAuthTries. */
  sshAuthTries: number;
  /** SSH: key exchanges of the whole process in one second (B-28); one costs about 0.5 ms. */
  sshKexPerSecond: number;
  /** SSH: connections that wait for their turn to exchange keys (B-28); more are refused. */
  sshKexWaiting: number;
  /** SSH: longest time for which an address is refused after timeouts and broken handshakes (B-27). */
  sshPenaltyMs: number;
  /** --once: failed logins before it gives up. A guess costs the wait for a new try, and the password has 192 random bits. */
  onceFailedLogins: number;
  /** PROXY protocol: accept to the end of the header. A proxy sends it with its first packet. */
  proxyHeaderMs: number;
  /** PROXY protocol: connections of all listeners and workers whose header has not come. They hold no place yet, as nobody knows whose it is. */
  proxyHeadersWaiting: number;
  /** TLS: one handshake. Two round trips and a signature. */
  tlsHandshakeMs: number;
  /** TLS: handshakes of the whole process that begin in one second; one costs about 1 ms. Others wait; `handshakes` bounds them. */
  tlsHandshakesPerSecond: number;
  /** Monitoring: connections at once; a browser and a scraper need two. More are closed. */
  monitoringConnections: number;
  /** Monitoring: request line and header of one request. */
  monitoringHeaderBytes: number;
  /** Monitoring: one connection from its first byte to the last of the answer. */
  monitoringMs: number;
}

/** A bound's name, in `[limits]`, in messages and in metrics. */
export type LimitName = keyof Limits;

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const KIB = 1024;
const MIB = 1024 * KIB;

/** Defaults of security.md B. */
export const DEFAULT_LIMITS: Readonly<Limits> = Object.freeze({
  connections: 512,
  handshakes: 64,
  connectionsPerAddress: 32,
  connectionsPerNetwork: 128,
  queued: 128,
  queuedPerAddress: 4,
  queuedPerNetwork: 16,
  greetingMs: 5 * SECOND,
  moduleLineMs: 10 * SECOND,
  authMs: MINUTE,
  argumentsMs: 10 * SECOND,
  filterIdleMs: 15 * SECOND,
  filterMs: MINUTE,
  preTransferMs: 90 * SECOND,
  sumsIdleMs: MINUTE,
  outputStallMs: 5 * MINUTE,
  sessionMs: 24 * 60 * MINUTE,
  loopLagMs: 250,
  loopLagForMs: 5 * SECOND,
  heapPercent: 80,
  heldPercent: 60,
  drainMs: 5 * SECOND,
  drainBytes: 16 * MIB,
  lineBytes: 1022,
  authLineBytes: 512,
  earlyInputBytes: 5120,
  args: 1000,
  argBytes: 5119,
  argsTotalBytes: 256 * KIB,
  globPatterns: 64,
  globDirents: 200_000,
  globResults: 100_000,
  globMs: 2 * SECOND,
  filterRules: 10_000,
  filterBytes: MIB,
  filterRecordBytes: 5119,
  filterPatternBytes: 4095,
  wildmatchStepsPerByte: 64,
  filterStepsPerName: 20_000,
  mergeFileBytes: 64 * KIB,
  mergeDepth: 32,
  mergeRules: 64,
  entries: 20_000_000,
  filesFromNames: 2_000_000,
  filesFromBytes: 16 * MIB,
  listCacheBytes: 128 * MIB,
  listCacheWaitMs: 30 * SECOND,
  digestCacheBytes: 32 * MIB,
  digestReaders: 2,
  digestReadersPerAddress: 1,
  pathBytes: 4095,
  depth: 256,
  linkHops: 40,
  fileMessages: 100,
  hardLinks: 5_000_000,
  xattrValueBytes: 64 * KIB,
  xattrEntryBytes: 64 * MIB,
  xattrLists: 100_000,
  xattrNameBytes: 16 * MIB,
  blockSums: 2_000_000,
  blockSumBytes: 64 * MIB,
  blockSumsRefused: 2 ** 30,
  matchCandidates: 8,
  matchProbesPerByte: 4,
  matchProbesBase: 2 ** 20,
  matchHashPerByte: 3,
  matchHashBase: 4 * MIB,
  matchBlockBytes: MIB,
  compressionJobs: 3,
  sendsPerFile: 2,
  contentPerListedByte: 3,
  contentBaseBytes: 1024 * MIB,
  reportsPerFile: 4,
  goodbyeItems: 1000,
  xnameBytes: 4095,
  messageBytes: 5119,
  messagesPerSecond: 1000,
  outputBytes: 256 * KIB,
  listingBytes: 64 * KIB,
  motdBytes: 64 * KIB,
  logLinesPerSession: 50,
  logLinesPerSecond: 200,
  logFilesPerSecond: 2000,
  sshLoginMs: 10 * SECOND,
  sshPacketBytes: 35_000,
  sshWindowBytes: MIB,
  sshRekeyBytes: 1024 * MIB,
  sshRekeyMs: 60 * MINUTE,
  sshPeerRekeyMs: MINUTE,
  sshPeerRekeyBytes: 16 * MIB,
  sshMessagesPerMinute: 100,
  sshAuthTries: 6,
  sshKexPerSecond: 20,
  sshKexWaiting: 64,
  sshPenaltyMs: 10 * MINUTE,
  onceFailedLogins: 20,
  proxyHeaderMs: 2 * SECOND,
  proxyHeadersWaiting: 512,
  tlsHandshakeMs: 10 * SECOND,
  tlsHandshakesPerSecond: 50,
  monitoringConnections: 32,
  monitoringHeaderBytes: 8 * KIB,
  monitoringMs: 10 * SECOND,
});
