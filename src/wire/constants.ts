/** Every number of the protocol that more than one file needs, under rsync's own names. */

/** Newest and oldest protocol that we speak (1-session.md, conventions). */
export const PROTOCOL_MAX = 32;
export const PROTOCOL_MIN = 27;

/** Message codes of the multiplexed stream (1-session.md 6.3). */
export const MSG_DATA = 0;
export const MSG_ERROR_XFER = 1;
export const MSG_INFO = 2;
export const MSG_ERROR = 3;
export const MSG_WARNING = 4;
export const MSG_IO_ERROR = 22;
export const MSG_IO_TIMEOUT = 33;
export const MSG_NOOP = 42;
export const MSG_ERROR_EXIT = 86;
export const MSG_NO_SEND = 102;

/** Added to every message code in a frame header (1-session.md 6.1). */
export const MPLEX_BASE = 7;

/** Compat flags (1-session.md 5.2). */
export const CF_INC_RECURSE = 0x001;
export const CF_SYMLINK_TIMES = 0x002;
export const CF_SAFE_FLIST = 0x008;
export const CF_AVOID_XATTR_OPTIM = 0x010;
export const CF_CHKSUM_SEED_FIX = 0x020;
export const CF_INPLACE_PARTIAL_DIR = 0x040;
export const CF_VARINT_FLIST_FLAGS = 0x080;
export const CF_ID0_NAMES = 0x100;

/** Special indexes (3-transfer.md 1.1). */
export const NDX_DONE = -1;
export const NDX_FLIST_EOF = -2;
export const NDX_DEL_STATS = -3;
export const NDX_FLIST_OFFSET = -101;

/** Item flags (3-transfer.md 2.2). */
export const ITEM_REPORT_XATTR = 0x0100;
export const ITEM_BASIS_TYPE_FOLLOWS = 0x0800;
export const ITEM_XNAME_FOLLOWS = 0x1000;
export const ITEM_IS_NEW = 0x2000;
export const ITEM_LOCAL_CHANGE = 0x4000;
export const ITEM_TRANSFER = 0x8000;

/** Basis types that change what the sender may match (3-transfer.md 2.2). */
export const FNAMECMP_FNAME = 0x80;
export const FNAMECMP_PARTIAL_DIR = 0x81;

/** Bits of the I/O error word (2-file-list.md 1.2). */
export const IOERR_GENERAL = 1;
export const IOERR_VANISHED = 2;

/** Longest literal token: rsync 3.4.3 refuses longer ones (3-transfer.md 5.1). */
export const CHUNK_SIZE = 32768;

/** File types in a mode, with Linux numbers on every host (2-file-list.md 2.3). */
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
