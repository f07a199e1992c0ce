/** Key files that ssh-keygen of OpenSSH 9.2 wrote; made for these tests, used nowhere else. */

export const OPENSSH_KEY = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACBkEj5fQSLGITD/r+/5H4pp7VcpdMh7mchAtBIEQEQmwgAAAJD2SPwd9kj8
HQAAAAtzc2gtZWQyNTUxOQAAACBkEj5fQSLGITD/r+/5H4pp7VcpdMh7mchAtBIEQEQmwg
AAAEDHKpdG2MpbwQpqyxKo/Qcpb1CO4a3CwKKgXAXKgqwlAWQSPl9BIsYhMP+v7/kfimnt
Vyl0yHuZyEC0EgRARCbCAAAACHRlc3Qga2V5AQIDBAU=
-----END OPENSSH PRIVATE KEY-----
`;

/** What ssh-keygen -l prints for it. */
export const OPENSSH_KEY_FINGERPRINT = 'SHA256:608a61XarV7GOwyZJbhVnlf84DxLmHIshWO0/9aVrpQ';

/** Its .pub file without comment. */
export const OPENSSH_KEY_PUBLIC = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQSPl9BIsYhMP+v7/kfimntVyl0yHuZyEC0EgRARCbC';

/** Passphrase "secret". */
export const ENCRYPTED_KEY = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABBQ58BiOZ
AniCzKHPaAgdrdAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIFiyqbmRv6vBxfDF
GJG3oZheTPtv1ylCLTVwANixquu/AAAAkApDLWmx4/KcvdlbbZlwA5CMFO+0v+xBcCZGYi
ie/farbpinxio60y9Ux/0G6QXa488aou6o69VpRvXsD1qixfXFj+S5Xseq0U9ut/IRMADV
Tz2UC0csb7H8AZQy44czzDolId36rKXdvVNtGMYefc1/Z7UCUFXs95wvm2HeqDRA737NyF
qrEROp5aWXC8fXuw==
-----END OPENSSH PRIVATE KEY-----
`;
