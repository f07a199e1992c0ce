/** The look of the status page: system fonts, dark and light, tables that become cards on a phone. */

import { createHash } from 'node:crypto';

/** All of it, as it stands in the page: no other style may be applied. */
export const STATUS_STYLE = `
:root{color-scheme:light dark;--page:light-dark(#f6f7f9,#12151a);--card:light-dark(#fff,#1a1f26);--text:light-dark(#1c2128,#e4e8ee);
--soft:light-dark(#5a6472,#9aa5b4);--line:light-dark(#dfe3e8,#2c343f);--accent:light-dark(#1f6feb,#58a6ff);
--fill:light-dark(#1f6feb22,#58a6ff33);--good:light-dark(#1a7f37,#3fb950);--bad:light-dark(#b42318,#ff7b72);--wait:light-dark(#9a6700,#d29922)}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:72rem;margin:0 auto;padding:1.25rem 1rem 3rem}
header{display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:baseline;margin-bottom:1rem}
h1{font-size:1.35rem;margin:0}h2{font-size:1rem;margin:0 0 .6rem}
.soft{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad)}.wait{color:var(--wait)}
.state{border:1px solid currentColor;border-radius:1rem;padding:0 .6rem;font-weight:600;font-size:.85rem}
section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.9rem 1rem;margin-bottom:1rem;overflow-x:auto}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.4rem,1fr));gap:.9rem;margin:0}
.figures div{display:flex;flex-direction:column-reverse;justify-content:flex-end}
dt{color:var(--soft);font-size:.85rem}dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:500;font-size:.85rem;text-align:left}
th,td{padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:break-word}
tr:last-child td{border-bottom:0}.n{text-align:right;white-space:nowrap}
.path{display:block;overflow-wrap:anywhere;color:var(--soft);font-size:.85rem}
progress{appearance:none;width:100%;min-width:6rem;height:.55rem;border:0;border-radius:.3rem;background:var(--line);overflow:hidden;display:block;margin:.4rem 0 .25rem}
progress::-webkit-progress-bar{background:var(--line)}progress::-webkit-progress-value{background:var(--accent)}
progress::-moz-progress-bar{background:var(--accent)}
svg{display:block;width:100%;height:9rem}
.area{fill:var(--fill)}.curve{fill:none;stroke:var(--accent);stroke-width:1.5;vector-effect:non-scaling-stroke}
.axis{stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke}
.scale{display:flex;justify-content:space-between;color:var(--soft);font-size:.8rem}
.two{columns:24rem 2;column-gap:1rem;margin-bottom:1rem}.two section{break-inside:avoid}
p{margin:0}a{color:var(--accent)}
@media(max-width:40rem){main{padding:.75rem .6rem 2rem}
.cards thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.cards tbody,.cards tr,.cards td{display:block;width:100%}
.cards tr{border-bottom:1px solid var(--line);padding:.5rem 0}.cards tr:last-child{border-bottom:0}
.cards td{border:0;padding:.1rem 0;text-align:left;display:grid;grid-template-columns:6.5rem 1fr;white-space:normal}
.cards td::before{content:attr(data-label);color:var(--soft);font-size:.85rem}
.cards td>*{grid-column:2;overflow-wrap:anywhere}}
`;

/** Source expression that lets a Content-Security-Policy accept exactly this style. */
export function statusStyleSource(): string {
  return `'sha256-${createHash('sha256').update(STATUS_STYLE).digest('base64')}'`;
}
