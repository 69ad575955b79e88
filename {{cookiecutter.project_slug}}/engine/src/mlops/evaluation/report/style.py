"""How the report looks: on a light or dark screen, and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --bg: #f4f6f9; --card: #fff; --ink: #17202e; --muted: #5d6b80; --line: #e2e7ee;
  --s0: #2563eb; --ref: #7e8da3; --s1: #e2630c; --s2: #0d9488; --s3: #9333ea;
  --s4: #ca8a04; --s5: #db2777; --s6: #4d7c0f;
}
@media (prefers-color-scheme: dark) { :root {
  --bg: #0d1219; --card: #151c26; --ink: #e7ecf3; --muted: #93a1b5; --line: #273140;
  --s0: #6ea8fe; --ref: #7c8ba1; --s1: #ff9f5a; --s2: #4fd1c5; --s3: #c49bff;
  --s4: #eac54f; --s5: #f78fb8; --s6: #a3d165;
} }
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--bg); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1040px; margin: 0 auto; padding: 36px 20px 48px; }
.eyebrow { color: var(--s0); font-weight: 600; font-size: 13px; letter-spacing: .04em; }
h1 { font-size: 30px; line-height: 1.2; margin: 2px 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 34px 0 12px; }
h3 { font-size: 15px; margin: 0; }
p { margin: 0; } .muted, figcaption { color: var(--muted); }
figcaption, small, .note { font-size: 13px; }
.pair { display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); }
.lead { display: grid; grid-template-columns: minmax(250px, 5fr) minmax(min(440px, 100%), 9fr);
  gap: 16px; margin-top: 22px; }
@media (max-width: 760px) { .lead { grid-template-columns: 1fr; } }
@media (max-width: 620px) { .lead th:nth-child(4), .strip { display: none; } }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 16px 18px; margin: 0; min-width: 0; break-inside: avoid; overflow-x: auto;
}
.note { margin-top: 10px; }
.big { font-size: 60px; line-height: 1.05; font-weight: 680; letter-spacing: -.03em;
  color: var(--s0);  font-variant-numeric: tabular-nums; margin: 10px 0 4px; }
.hero { display: flex; flex-direction: column; justify-content: center; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; vertical-align: baseline; }
tr:last-child td { border-bottom: 0; }
th { color: var(--muted); font-weight: 500; font-size: 13px; }
td.n, th.n { text-align: right; white-space: nowrap; overflow-wrap: normal; }
td.n small { color: var(--muted); }
td.strip { width: 160px; padding-right: 0; } td.strip svg { display: block; width: 160px; }
dl { display: grid; grid-template-columns: minmax(110px, auto) 1fr; gap: 5px 16px;
  margin: 10px 0 0; }
dt { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--muted); padding: 4px 0; }
details { margin-top: 10px; }
.keys { display: flex; flex-wrap: wrap; gap: 4px 16px; margin-top: 4px; font-size: 13px;
  color: var(--muted); }
.keys i { display: inline-block; width: 14px; height: 4px; border-radius: 2px; margin-right: 6px;
  vertical-align: middle; }
svg { display: block; width: 100%; height: auto; font: 11.5px system-ui, -apple-system, "Segoe UI",
  Roboto, sans-serif; }
.s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); }
.s4 { --c: var(--s4); } .s5 { --c: var(--s5); } .s6 { --c: var(--s6); }
.keys i { background: var(--c); }
text { fill: var(--ink); } text.tick, text.title { fill: var(--muted); }
text.title { font-size: 12px; } text.label { font-size: 12.5px; }
text.head { font-size: 12.5px; font-weight: 650; } text.count { font-size: 15px; font-weight: 600; }
.middle { text-anchor: middle; } .end { text-anchor: end; }
.grid { stroke: var(--line); fill: none; }
.guide { stroke: var(--muted); stroke-dasharray: 4 4; fill: none; }
.line { fill: none; stroke: var(--c); stroke-width: 2.2; stroke-linejoin: round; }
.line.thin { stroke-width: 1.5; } .line.ref { stroke: var(--ref); stroke-width: 1.5; }
.area { fill: var(--c); fill-opacity: .1; }
.whisker { stroke: var(--c); stroke-width: 2; stroke-linecap: round; fill: none; opacity: .75; }
.whisker.ink { --c: var(--ink); stroke-width: 1.4; }
.dot { fill: var(--c); stroke: var(--card); stroke-width: 1; } .hover { fill: transparent; }
.bar, .cell { fill: var(--s0); } .bar.soft { fill-opacity: .3; } .bar { rx: 2px; }
.band { fill: var(--ref); fill-opacity: .18; } .track { fill: var(--line); }
@media print {
  :root { --bg: #fff; --card: #fff; --ink: #17202e; --muted: #4b586b; --line: #d5dbe3;
    --s0: #2563eb; --ref: #7e8da3; --s1: #e2630c; --s2: #0d9488; --s3: #9333ea; --s4: #ca8a04;
    --s5: #db2777; --s6: #4d7c0f; }
  main { padding: 0; max-width: none; } h2 { break-after: avoid; }
  body { font-size: 12.5px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .pair { grid-template-columns: 1fr 1fr; }
  .lead { grid-template-columns: 2fr 5fr; }
  .big { font-size: 44px; }
}
"""
