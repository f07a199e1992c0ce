/** System calls that a daemon which only sends never makes, with their numbers; seccomp.ts denies them to it. */

export type Architecture = 'x64' | 'arm64';

/** A call's number on each architecture; null where it does not exist. */
export type Numbers = Readonly<Record<Architecture, number | null>>;

/** Changes to files, whatever their permissions say. Opening for writing is a matter of flags: seccomp.ts. */
const CHANGES = `
  chmod 90 -          chown 92 -           creat 85 -           fallocate 285 47    fchmod 91 52        fchmodat 268 53
  fchmodat2 452 452   fchown 93 55         fchownat 260 54      fremovexattr 199 16 fsetxattr 190 7     ftruncate 77 46
  futimesat 261 -     lchown 94 -          link 86 -            linkat 265 37       lremovexattr 198 15 lsetxattr 189 6
  mkdir 83 -          mkdirat 258 34       mknod 133 -          mknodat 259 33      mq_open 240 180     removexattr 197 14
  rename 82 -         renameat 264 38      renameat2 316 276    rmdir 84 -          setxattr 188 5      symlink 88 -
  symlinkat 266 36    truncate 76 45       unlink 87 -          unlinkat 263 35     utime 132 -         utimensat 280 88
  utimes 235 -`;

/** New sockets; those that were inherited go on accepting. */
const SOCKETS = 'bind 49 200  connect 42 203  socket 41 198  socketpair 53 199';

/** Programs, other processes, mounts, and parts of the kernel that have had more holes than users. */
const POWERS = `
  acct 163 89           add_key 248 217       adjtimex 159 171       bpf 321 280             chroot 161 51
  clock_adjtime 305 266 clock_settime 227 112 delete_module 176 106  execveat 322 281        fanotify_init 300 262
  finit_module 313 273  fork 57 -             fsconfig 431 431       fsmount 432 432         fsopen 430 430
  fspick 433 433        init_module 175 105   io_uring_enter 426 426 io_uring_register 427 427 io_uring_setup 425 425
  ioperm 173 -          iopl 172 -            kcmp 312 272           kexec_file_load 320 294 kexec_load 246 104
  keyctl 250 219        modify_ldt 154 -      mount 165 40           mount_setattr 442 442   move_mount 429 429
  memfd_create 319 279  msgget 68 186         name_to_handle_at 303 264 open_by_handle_at 304 265 open_tree 428 428 perf_event_open 298 241
  personality 135 92    pidfd_getfd 438 438   pidfd_open 434 434     pidfd_send_signal 424 424 pivot_root 155 41
  process_madvise 440 440 process_vm_readv 310 270 process_vm_writev 311 271 ptrace 101 117  quotactl 179 60
  quotactl_fd 443 443   reboot 169 142        request_key 249 218    semget 64 190           setdomainname 171 162
  sethostname 170 161   setns 308 268         settimeofday 164 170   shmget 29 194           swapoff 168 225
  swapon 167 224        syslog 103 116        umount2 166 39         unshare 272 97          userfaultfd 323 282
  uselib 134 -          vfork 58 -            vhangup 153 58`;

/** `name x64 arm64` triples. */
function parse(table: string): ReadonlyMap<string, Numbers> {
  const rows = table.matchAll(/(\w+) (\d+|-) (\d+|-)/g);
  const toNumber = (text: string | undefined) => (text === '-' ? null : Number(text));
  return new Map([...rows].map(([, name, x64, arm64]) => [name!, { x64: toNumber(x64), arm64: toNumber(arm64) }]));
}

/** Denied to everybody who is confined. */
export const DENIED_CALLS: ReadonlyMap<string, Numbers> = parse(CHANGES + POWERS);

/** Denied where nobody needs a socket that is not open yet. */
export const SOCKET_CALLS: ReadonlyMap<string, Numbers> = parse(SOCKETS);
