# SPDX-License-Identifier: GPL-2.0
"""Bar charts as SVG, without help from outside."""

from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 760, 190, 110
ROW, BAR, HEAD = 30, 20, 56
COLORS = {"parent": "#8a8f98", "clone": "#2f6fb0", "cxl": "#3f9b6b"}
FONT = "font-family='sans-serif'"


def _text(x, y, text, size=13, more=""):
    return (f"<text x='{x:.1f}' y='{y:.1f}' {FONT} font-size='{size}' {more}>"
            f"{escape(text)}</text>")


def _bars(top, title, rows):
    """One panel; rows: (label, value, text of the value, kind)."""
    longest = max(value for _, value, _, _ in rows) or 1
    parts = [_text(16, top + 30, title, 15, "font-weight='bold'")]
    for i, (label, value, shown, kind) in enumerate(rows):
        y = top + HEAD - 8 + i * ROW
        width = max(1.0, (WIDTH - LEFT - RIGHT) * value / longest)
        parts += [
            _text(LEFT - 10, y + 15, label, more="text-anchor='end'"),
            f"<rect x='{LEFT}' y='{y}' width='{width:.1f}' height='{BAR}' "
            f"fill='{COLORS[kind]}'/>",
            _text(LEFT + width + 8, y + 15, shown),
        ]
    return parts, top + HEAD + len(rows) * ROW


def svg(title, panels, notes):
    """The whole picture; panels: (title, rows)."""
    parts = [_text(16, 30, title, 18, "font-weight='bold'")]
    top = 36
    for name, rows in panels:
        more, top = _bars(top, name, rows)
        parts += more
    for note in notes:
        top += 18
        parts.append(_text(16, top, note, 12, "fill='#555'"))
    height = top + 18
    return "\n".join([
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' "
        f"height='{height}' viewBox='0 0 {WIDTH} {height}'>",
        "<rect width='100%' height='100%' fill='white'/>", *parts, "</svg>",
        ""])
