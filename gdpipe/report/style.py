"""The style of report.html: one column on a phone, two on a desk, light and dark, and black on white on paper."""

from gdpipe.report.pictures.axes import SHADES


def _shade(k: int) -> str:
    mixed = f"color-mix(in srgb, var(--mark) {round(12 + 83 * k / (SHADES - 1))}%, var(--paper))"
    return f".s{k} {{ fill: {mixed}; }} .c{k} {{ stroke: {mixed}; }}\n"


_SHADES = "".join(map(_shade, range(SHADES)))
# a shadow at each end beyond which a table goes on; the paper that covers it scrolls with the table
_HINT = (
    "background: linear-gradient(to right, var(--paper) 40%, transparent) 0 0 / 3rem 100%, "
    "linear-gradient(to left, var(--paper) 40%, transparent) 100% 0 / 3rem 100%, "
    "linear-gradient(to right, var(--shadow), transparent) 0 0 / 1rem 100%, "
    "linear-gradient(to left, var(--shadow), transparent) 100% 0 / 1rem 100%; "
    "background-repeat: no-repeat; background-attachment: local, local, scroll, scroll; scrollbar-width: thin;"
)

# rows of figures are subgrids: captions of a line of pictures take the same room, so that all pictures begin at one height
STYLE = f"""
:root {{ color-scheme: light dark; --ink: #1c2430; --paper: #ffffff; --panel: #f6f8fa; --soft: #5d6876; --rule: #dfe4ea;
  --mark: #0b5cad; --second: #b8500b; --good: #1a7f37; --bad: #c0262d; --shadow: #1c243066; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e6ebf1; --paper: #0f141a; --panel: #171d25; --soft: #9aa5b1;
  --rule: #2c343e; --mark: #5aa9f5; --second: #f0a35e; --good: #3fb950; --bad: #ff7b72; --shadow: #e6ebf159; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 68rem; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
  color: var(--ink); background: var(--paper); overflow-wrap: anywhere; }}
h1 {{ font-size: 1.35rem; line-height: 1.25; margin: 0 0 .25rem; }} h2 {{ font-size: 1.1rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--rule); }}
p {{ margin: .5rem 0; max-width: 46rem; }} .soft {{ color: var(--soft); font-size: .875rem; }}
.verdict {{ margin: 1rem 0; max-width: none; padding: .9rem 1rem; background: var(--panel); border-left: .35rem solid var(--good); border-radius: .25rem; }}
.verdict.rejected {{ border-color: var(--bad); }} .verdict p {{ margin: .25rem 0; }} .verdict strong {{ font-size: 1.15rem; }}
.verdict li {{ margin: .15rem 0; }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .5rem; margin: 1rem 0; padding: 0; }}
.tiles div {{ background: var(--panel); border-radius: .25rem; padding: .5rem .75rem; }} .tiles dt {{ color: var(--soft); font-size: .8rem; }}
.tiles dd {{ margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18.5rem), 1fr)); gap: 1.5rem 2rem; align-items: start; margin: 1rem 0; }}
.pictures.two {{ grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }}
figure {{ margin: 0; max-width: 30rem; display: grid; grid-template-rows: subgrid; grid-row: span 2; row-gap: 0; align-items: start; }} figcaption {{ font-size: .875rem; color: var(--soft); margin-bottom: .35rem; }} figcaption b {{ display: block; color: var(--ink); font-size: .95rem; }}
.scroll {{ overflow-x: auto; margin: .75rem 0; {_HINT} }} table {{ border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }}
th, td {{ white-space: nowrap; text-align: right; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--rule); }}
th {{ color: var(--soft); font-weight: 600; }} th:first-child, td:first-child, .pairs td, .pairs th {{ text-align: left; }} .numbers th:first-child, .numbers td:first-child {{ text-align: right; }} .pairs td:last-child {{ white-space: normal; overflow-wrap: anywhere; }}
code {{ font: .9em ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; display: inline-block; max-width: 100%; }}
details {{ margin: .5rem 0; }} summary {{ cursor: pointer; font-size: .9rem; }}
svg {{ display: block; width: 100%; height: auto; }} svg text {{ font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }}
svg .label, svg .name {{ fill: var(--ink); }} svg .mid {{ text-anchor: middle; }} svg .end {{ text-anchor: end; }} svg .second {{ fill: var(--second); }}
svg .halo {{ fill: var(--ink); paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }} svg .second.halo {{ fill: var(--second); }}
.grid {{ stroke: var(--rule); }} .axis, .whisker {{ stroke: var(--soft); fill: none; }} .whisker {{ stroke: var(--ink); }}
.line {{ fill: none; stroke: var(--mark); stroke-width: 2; stroke-linejoin: round; }} .bar {{ fill: var(--mark); opacity: .45; }} .stem {{ stroke: var(--mark); opacity: .45; }}
.dash {{ fill: none; stroke: var(--second); stroke-width: 1.6; stroke-dasharray: 5 4; }} .thin {{ stroke-width: 1; }}
.dot {{ fill: var(--mark); }} .cell {{ shape-rendering: crispEdges; }} .fitted {{ fill: none; stroke: var(--ink); stroke-width: 2; }} h3 {{ font-size: .95rem; margin: 1.5rem 0 .25rem; }} .mean {{ fill: none; stroke: var(--second); stroke-width: 1.6; }} .under {{ fill: none; stroke: var(--paper); stroke-width: 4; stroke-opacity: .6; }} .ring {{ stroke: var(--mark); stroke-width: .6; stroke-opacity: .5; }}
.true {{ fill: var(--paper); stroke: var(--ink); }} .path {{ fill: none; stroke: var(--second); stroke-width: 1.2; stroke-linejoin: round; }} .faint {{ stroke-width: 1.2; stroke-opacity: .45; }} .step {{ fill: var(--second); }}
.start {{ fill: var(--paper); stroke: var(--second); stroke-width: 2; }} circle.end {{ fill: var(--second); stroke: var(--paper); stroke-width: 1.5; }}
{_SHADES}@media print {{ :root {{ color-scheme: light; --ink: #000; --paper: #fff; --panel: #f4f4f4; --soft: #444; --rule: #ccc; --mark: #0b5cad;
  --second: #b8500b; --good: #1a7f37; --bad: #c0262d; }}
  body {{ max-width: none; padding: 0; font-size: 10pt; }} figure, .verdict, tr {{ break-inside: avoid; }} h2 {{ break-after: avoid; }}
  .pictures, .pictures.two {{ grid-template-columns: 1fr 1fr 1fr; }} .scroll {{ overflow: visible; background: none; }} table {{ font-size: 7.5pt; }} * {{ print-color-adjust: exact; }} }}
"""
