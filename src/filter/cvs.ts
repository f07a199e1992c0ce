/** The names that `-C` hides (1-session.md 7.8); rule-list.ts expands them. */

const NAMES =
  'RCS SCCS CVS CVS.adm RCSLOG cvslog.* tags TAGS .make.state .nse_depinfo *~ #* .#* ,* _$* *$ *.old *.bak *.BAK ' +
  '*.orig *.rej .del-* *.a *.olb *.o *.obj *.so *.exe *.Z *.elc *.ln core .svn/ .git/ .hg/ .bzr/';

/** Patterns of the built-in CVS list. The user's ~/.cvsignore and $CVSIGNORE, which rsync adds, are not ours to read. */
export const CVS_PATTERNS: readonly Buffer[] = NAMES.split(' ').map((name) => Buffer.from(name));
