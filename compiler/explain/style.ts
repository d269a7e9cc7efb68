/** The style of an explanation as a page: light and dark, no fonts or files from elsewhere. */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #fdfcfa; --ink: #22252b; --muted: #646a75; --line: #dedbd3; --panel: #f4f2ec; --accent: #8a4b08;
  --input: #e8eef7; --input-line: #7593bd; --cotangent: #f7e9e4; --cotangent-line: #c07c62; --saved: #f5eecb;
  --saved-line: #b29a32; --reduction: #e4f0e4; --reduction-line: #6a9f6a; --result: #efe4f3; --result-line: #9a6fae;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #17191d; --ink: #dcdee2; --muted: #979ea9; --line: #363a42; --panel: #1f2227; --accent: #e3a35c;
    --input: #22304a; --input-line: #6f8fbf; --cotangent: #452b22; --cotangent-line: #c58468; --saved: #3f3816;
    --saved-line: #b59f3d; --reduction: #20391f; --reduction-line: #6fae6d; --result: #3a2845; --result-line: #a97dc0;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.55 Charter, "Bitstream Charter", "Sitka Text", Cambria, "Noto Serif", Georgia, serif;
}
.page { display: grid; grid-template-columns: 15rem minmax(0, 1fr); max-width: 84rem; margin: 0 auto; }
nav {
  position: sticky; top: 0; align-self: start; max-height: 100vh; overflow-y: auto; padding: 1.6rem 0 1.6rem 1.4rem;
  font: 14px/1.4 system-ui, sans-serif;
}
nav ol { list-style: none; margin: 0; padding: 0; }
nav ol ol { margin: .1rem 0 .5rem .8rem; }
nav li { margin: .25rem 0; }
nav a { color: var(--muted); text-decoration: none; }
nav a:hover, nav a:focus { color: var(--accent); text-decoration: underline; }
nav > ol > li > a { color: var(--ink); font-weight: 600; }
main { padding: 1.6rem 2rem 5rem; min-width: 0; }
h1, h2, h3 { line-height: 1.2; font-family: system-ui, sans-serif; font-weight: 650; text-wrap: balance; }
h1 { font-size: 1.75rem; margin: .2rem 0 1rem; }
h2 { font-size: 1.4rem; margin: 3.2rem 0 1rem; padding-top: .8rem; border-top: 3px solid var(--accent); }
h3 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; }
h4 { font: 600 .98rem system-ui, sans-serif; margin: 1.6rem 0 .5rem; }
p { margin: .7rem 0; max-width: 44rem; }
.signature, pre, code { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
.signature { font-size: 13.5px; color: var(--muted); max-width: none; }
math { font-size: 1.06em; font-family: "STIX Two Math", "Cambria Math", "Latin Modern Math", "DejaVu Math TeX Gyre", math; }
p math { font-size: 1em; }
.close { white-space: nowrap; }
.word { font-style: italic; letter-spacing: .01em; }
mtd.left { text-align: left; padding-left: 0; }
mtd.right { text-align: left; padding-left: .35em; }
.equations { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .55rem .7rem; margin: .9rem 0; padding-left: 1.2rem; align-items: baseline; }
.axes { margin-left: .3em; color: var(--muted); font: 12px ui-monospace, Menlo, Consolas, monospace; }
.formula, .across { min-width: 0; }
.formula { padding: .1rem 0; }
.across { grid-column: 1 / -1; }
.math { padding: .15rem 0 .35rem 2em; text-indent: -2em; }
.math math { text-indent: 0; }
.formula, .rewrite { overflow-x: auto; overflow-y: hidden; }
.rewrite { display: flex; flex-wrap: wrap; gap: 0 .7rem; align-items: baseline; }
.rewrite.long { display: grid; gap: .3rem; }
.rewrite.long > div + div { padding-left: 1.4em; }
.inner { border-left: 2px solid var(--line); margin-left: .5rem; padding-left: 1rem; }
.notes { margin: .1rem 0 .35rem; padding: 0; list-style: none; font: 13.5px/1.5 system-ui, sans-serif; color: var(--muted); }
.rule {
  display: inline-block; padding: 0 .5em; border: 1px solid var(--reduction-line); border-radius: 1em;
  background: var(--reduction); color: var(--ink);
}
figure { margin: .6rem 0; }
figcaption { font: 13.5px/1.4 system-ui, sans-serif; color: var(--muted); margin-bottom: .3rem; }
pre {
  margin: 0; padding: .8rem 1rem; background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  font-size: 12.5px; line-height: 1.45; overflow: auto; max-height: 34rem; tab-size: 2;
}
.graph { display: block; max-width: 100%; height: auto; font: 12px ui-monospace, Menlo, Consolas, monospace; }
.graph text { fill: var(--ink); text-anchor: middle; }
.graph .detail { fill: var(--muted); font-size: 10.5px; }
.graph .group rect { fill: var(--panel); stroke: var(--line); }
.graph .group text { fill: var(--muted); text-anchor: start; font: 11.5px system-ui, sans-serif; }
.graph .edge { fill: none; stroke: var(--muted); stroke-width: 1.1; opacity: .75; }
.head { fill: var(--muted); }
.node rect, .key { fill: var(--paper); stroke: var(--muted); stroke-width: 1.2; }
.input rect { fill: var(--input); stroke: var(--input-line); }
.cotangent rect { fill: var(--cotangent); stroke: var(--cotangent-line); }
.saved rect { fill: var(--saved); stroke: var(--saved-line); stroke-dasharray: 4 2; }
.reduction rect { fill: var(--reduction); stroke: var(--reduction-line); }
.result rect { fill: var(--result); stroke: var(--result-line); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: .5rem 0 0; padding: 0; list-style: none; font: 13px system-ui, sans-serif; color: var(--muted); }
.legend svg { vertical-align: -2px; margin-right: .35em; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--line); font: 13.5px system-ui, sans-serif; color: var(--muted); }
@media (min-width: 70rem) { .part { white-space: nowrap; } }
@media (max-width: 52rem) {
  .page { grid-template-columns: minmax(0, 1fr); } nav { position: static; max-height: none; } main { padding: 1rem; }
  .equations { grid-template-columns: minmax(0, 1fr); padding-left: 0; } .formula { padding-left: 1rem; margin-bottom: .4rem; }
  .inner { padding-left: .6rem; margin-left: 0; }
}
@media print { nav { display: none; } .page { display: block; } pre { max-height: none; } }
`.trim();
