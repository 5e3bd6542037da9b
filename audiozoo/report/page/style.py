"""Style sheet and script of the page. Nothing is loaded from elsewhere, and the page is complete without the script."""

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c1f24;--soft:#5b626c;--rule:#e1e4e8;--wash:#f6f7f9;--heat:#1f5fa8;
--warn:#8a4b00;--on:#fff;--m0:#2563c9;--m1:#c2410c;--m2:#1f7a37;--m3:#8b2fb0;--m4:#0b7285;--m5:#b3245c;--m6:#7a5c00;--m7:#5338b8;--m8:#6b4f3f;--m9:#4b5563}
@media (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e8eaed;--soft:#a3abb5;--rule:#30363d;--wash:#1c2026;
--heat:#6cb0ff;--warn:#f0b36a;--on:#10131a;--m0:#7fb0ff;--m1:#ff9a6b;--m2:#6fd08a;--m3:#d596f0;--m4:#5fcbdc;--m5:#ff8fb8;--m6:#dcbd55;--m7:#b0a0ff;
--m8:#cfae9b;--m9:#aab4c0}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0 auto;max-width:1160px;padding:2.5rem 1.25rem 4rem;background:var(--paper);color:var(--ink);
overflow-wrap:anywhere;
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .4rem;letter-spacing:-.015em}
h2{font-size:1.5rem;line-height:1.25;margin:4rem 0 .5rem;padding-top:1.2rem;border-top:2px solid var(--ink)}
h3{font-size:1.1rem;margin:2.8rem 0 .3rem}
h4{font-size:.9rem;margin:0 0 .35rem;font-weight:600;display:flex;align-items:center;gap:.5rem;min-width:0}
h4 span:last-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
p{margin:.3rem 0 .9rem;max-width:44rem}
.lead{font-size:1.06rem}
.soft,figcaption,.note{color:var(--soft);font-size:.9rem}
a{color:inherit;text-underline-offset:.2em}
nav{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;margin:1rem 0 0;font-size:.92rem}
figure{margin:0;min-width:0}
figcaption{margin:.4rem 0 0}
code{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.facts{display:flex;flex-wrap:wrap;gap:.4rem 2.2rem;margin:1.1rem 0;padding:0}
.facts div{min-width:4.5rem}
.facts dt{font-size:.82rem;color:var(--soft)}
.facts dd{margin:0;font-size:1.3rem;font-weight:600;font-variant-numeric:tabular-nums}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(310px,100%),1fr));gap:1.8rem 2rem;margin:1.1rem 0}
.pair{display:grid;grid-template-columns:minmax(0,1.7fr) minmax(0,1fr);gap:1.2rem 2rem;align-items:start;margin:.8rem 0 1.4rem}
@media (max-width:760px){.pair{grid-template-columns:minmax(0,1fr)}body{padding-top:1.5rem}h2{margin-top:3rem}}
.box{overflow-x:auto;margin:.9rem 0;border:1px solid var(--rule);border-radius:8px}
.plain{overflow-x:auto}
table{overflow-wrap:break-word;border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.5rem .6rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule);vertical-align:middle}
tbody tr:last-child td{border-bottom:0}
th{font-weight:600;background:var(--wash);vertical-align:bottom;white-space:normal;line-height:1.3}
th button{all:unset;cursor:pointer;font-weight:600}
th button::after{content:"";display:inline-block;width:.9em;color:var(--soft);text-align:center}
th[aria-sort=ascending] button::after{content:"\\2191"}
th[aria-sort=descending] button::after{content:"\\2193"}
th button:focus-visible,a:focus-visible,summary:focus-visible,.box:focus-visible{
outline:2px solid var(--heat);outline-offset:2px}
th.word,td.word{text-align:left}
td.model{overflow-wrap:anywhere;text-align:left;white-space:normal;min-width:11.5rem;max-width:19rem;line-height:1.3}
td.badges{white-space:normal;min-width:7rem;line-height:1}
td.badges .badge{margin:1px 2px 1px 0;width:1.35rem;height:1.35rem;font-size:.7rem}
td.model .name{display:flex;gap:.5rem;align-items:center;font-weight:600}
.settings{display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;overflow:hidden;color:var(--soft);font-size:.78rem;
margin:.1rem 0 0 2.1rem;overflow-wrap:anywhere}
.mark{display:block;white-space:nowrap;margin:.1rem 0 0 2.1rem;color:var(--warn);font-size:.78rem}
.whisker{width:120px;height:18px;display:block;margin-bottom:-2px}
.whisker+.soft{font-size:.8rem}
.badge{flex:none;display:inline-grid;place-items:center;width:1.6rem;height:1.6rem;border-radius:50%;background:var(--m);color:var(--on);
font-size:.78rem;font-weight:600;font-variant-numeric:tabular-nums}
.chart{display:block;width:100%;height:auto;overflow:visible}
.chart text{font-size:11.5px;fill:var(--soft)}
.chart .name{font-size:12px;fill:var(--ink)}
.chart .label{fill:var(--ink)}
.chart .mini{font-size:10px}
.chart .dark{fill:var(--paper);font-weight:600}
.grid line,line.grid{stroke:var(--rule)}
.axis{stroke:var(--soft)}
.dot{fill:var(--m);stroke:var(--paper);stroke-width:1.5}
.chart .digit{font-size:10px;font-weight:600;fill:var(--on);text-anchor:middle}
.front{fill:none;stroke:var(--soft);stroke-width:1.5;stroke-dasharray:5 4}
.mean{fill:var(--m9);fill-opacity:.35}
.curve{stroke:var(--m);stroke-width:2;stroke-linejoin:round}
.curve.train{stroke-dasharray:4 3;stroke-width:1.5;opacity:.8}
.fold{stroke:var(--m);stroke-width:1;opacity:.28}
.fold.train{stroke-dasharray:4 3}
.span{fill:none;stroke:var(--m);stroke-width:1.5}
.heat path,.heat rect{fill:var(--heat)}
.heat .ground{fill:var(--wash)}
.heat .cut{stroke:var(--paper);stroke-width:.06}
.pair.tall{grid-template-columns:minmax(0,1fr)}
.tall ol.pairs{columns:3 15rem;column-gap:2.4rem}
.tall li{break-inside:avoid}
details{border-top:1px solid var(--rule);padding:.55rem 0}
summary{cursor:pointer;font-weight:600;font-size:.95rem}
.line{display:inline-flex;align-items:center;gap:.5rem;max-width:calc(100% - 1.5rem);vertical-align:middle}
.line .soft{flex:none}
.line>span{min-width:0}
.legend{display:flex;flex-wrap:wrap;gap:.4rem 1.3rem;max-width:none;font-size:.88rem;font-weight:600}
summary .soft{font-weight:400}
.sound{border:1px solid var(--rule);border-radius:8px;padding:.8rem;background:var(--wash)}
.sound img{display:block;width:100%;height:120px;image-rendering:auto;border-radius:4px;background:#000}
.sound audio{display:block;width:100%;height:36px;margin:.5rem 0}
.sound p{margin:.25rem 0 0;font-size:.85rem}
.ends{display:flex;justify-content:space-between;color:var(--soft);font-size:.75rem}
ol.pairs{margin:0;padding:0;list-style:none;font-size:.88rem}
ol.pairs li{display:flex;gap:.6rem;justify-content:space-between;padding:.28rem 0;border-bottom:1px solid var(--rule)}
ol.pairs li span:first-child{min-width:0;overflow-wrap:anywhere}
ol.pairs li span:last-child{flex:none;font-variant-numeric:tabular-nums;color:var(--soft)}
footer{margin-top:4rem;padding-top:1rem;border-top:1px solid var(--rule)}
@media print{body{max-width:none}details>*{display:block}nav,audio{display:none}}
"""
for _number in range(10):
    STYLE += f".m{_number}{{--m:var(--m{_number})}}"

SCRIPT = """
for (const hint of document.querySelectorAll(".sorts")) hint.hidden = false;
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (head.dataset.plain !== undefined) return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.dataset.first || "descending";
      const other = first === "descending" ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const body = table.tBodies[0];
      [...body.rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
      }).forEach((row) => body.append(row));
    });
  });
}
"""
"""Script that sorts a table by a column when its head is clicked; cells without a value come last."""
