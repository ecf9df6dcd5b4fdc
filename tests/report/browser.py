"""Pages in a real browser: measured where they are laid out, at any width, light and dark."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")

# every text of the pictures beyond its picture or over another, pictures that do not begin at one height or have no
# scale of colours, options with a line break in them, tables that scroll, and the colours
MEASURE = """
frame.onload = () => {
  const page = frame.contentDocument, view = frame.contentWindow, cut = [], over = [];
  for (const svg of page.querySelectorAll('svg[role=img]')) {
    const edge = svg.getBoundingClientRect(), title = svg.querySelector('title').textContent, seen = [];
    for (const text of svg.querySelectorAll('text')) {
      const box = text.getBoundingClientRect(), said = `${title}: ${text.textContent}`;
      const off = Math.max(edge.left - box.left, box.right - edge.right, edge.top - box.top, box.bottom - edge.bottom);
      if (off > 0.5) cut.push(said);
      const deep = 0.3 * box.height;
      for (const [other, name] of seen)
        if (Math.min(box.right, other.right) - Math.max(box.left, other.left) > 1
            && Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top) > deep)
          over.push(`${said} on ${name}`);
      seen.push([box, text.textContent]);
    }
  }
  const wide = [...page.querySelectorAll('.scroll')].filter(s => s.scrollWidth > s.clientWidth + 1);
  const style = (name) => view.getComputedStyle(page.querySelector(name));
  // of the figures that begin at one height: where the pictures begin
  const tops = {};
  const top = (element) => element.getBoundingClientRect().top;
  for (const figure of page.querySelectorAll('.pictures > figure'))
    (tops[top(figure)] ??= new Set()).add(top(figure.querySelector('svg')));
  const found = {
    cut, over,
    uneven: Object.values(tops).filter(t => t.size > 1).length,
    unscaled: [...page.querySelectorAll('svg[role=img]:has(.cell)')].filter(s => !s.querySelector('.s9')).length,
    broken: [...page.querySelectorAll('code')].filter(c => c.getClientRects().length > 1).map(c => c.textContent),
    pairs: wide.filter(s => s.classList.contains('pairs')).length,
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    wide: wide.length,
    unhinted: wide.filter(s => !view.getComputedStyle(s).backgroundImage.includes('gradient')).length,
    paper: style('body').backgroundColor, weak: style('.s0').fill, strong: style('.s9').fill,
  };
  const said = document.createElement('pre');
  said.textContent = JSON.stringify(found);
  document.body.append(said);
};
"""


def measured(page: Path, width: int, *, dark: bool, folder: Path) -> dict[str, Any]:
    """What `MEASURE` finds on a page of this width in pixels; `folder` is for the browser's own files."""
    scheme = "dark" if dark else "light"
    inside = html.escape(page.read_text(encoding="utf-8"))
    # a page in a frame has the frame's width, which a window of a browser cannot have below 500 pixels
    outside = folder / f"{page.parent.name}-{width}-{scheme}.html"
    outside.write_text(
        f'<!doctype html><meta charset="utf-8"><body><iframe id="frame" style="color-scheme: {scheme}; border: 0; '
        f'width: {width}px; height: 9000px"></iframe><script>{MEASURE} frame.srcdoc = '
        f"document.querySelector('template').content.textContent;</script></body>".replace(
            "<script>", f"<template>{inside}</template><script>", 1
        ),
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            *QUIET,
            f"--window-size={max(width, 500)},2000",
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=5000",
            "--dump-dom",
            outside.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    [said] = re.findall(r"<pre>(\{.*\})</pre>", done.stdout, re.DOTALL)
    found: dict[str, Any] = json.loads(html.unescape(said))
    return found
