"""The plot of the comparison as SVG: a bar of CPU seconds and one of peak memory for each program, both on logarithmic scales."""

import math
from xml.sax.saxutils import escape

LEFT, WIDTH, BAR, GAP, TOP = 250, 250, 16, 12, 64
INK, FAINT, OURS, THEIRS = "#222222", "#dddddd", "#0b6e99", "#9aa7b0"


def scale(values):
    """The powers of ten around the values."""
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return (low, high) if high > low else (low, low + 1)


def shown(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def panel(x, title, rows, values):
    low, high = scale(values)
    place = lambda value: (math.log10(value) - low) / (high - low) * WIDTH
    bottom = TOP + rows * (BAR + GAP)
    yield f'<text x="{x}" y="{TOP - 22}" font-weight="bold">{escape(title)}</text>'
    for power in range(low, high + 1):
        at = x + place(10**power)
        label = f"{10**power:,}" if power >= 0 else f"{10**power:.{-power}f}"
        yield f'<line x1="{at:.1f}" y1="{TOP - 4}" x2="{at:.1f}" y2="{bottom}" stroke="{FAINT}"/>'
        yield f'<text x="{at:.1f}" y="{TOP - 8}" text-anchor="middle" font-size="10">{label}</text>'
    for row, value in enumerate(values):
        yield row, place(value), value


def bars(title, list):
    """`list` holds a name, CPU seconds and peak MiB for each program."""
    height = TOP + len(list) * (BAR + GAP) + 16
    second = LEFT + WIDTH + 70
    width = second + WIDTH + 70
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for row, (name, _, _) in enumerate(list):
        y = TOP + row * (BAR + GAP) + BAR - 3
        out.append(f'<text x="{LEFT - 10}" y="{y}" text-anchor="end">{escape(name)}</text>')
    for x, label, values in [
        (LEFT, "CPU seconds (log scale)", [cpu for _, cpu, _ in list]),
        (second, "peak memory, MiB (log scale)", [peak for _, _, peak in list]),
    ]:
        for part in panel(x, label, len(list), values):
            if isinstance(part, str):
                out.append(part)
                continue
            row, length, value = part
            y = TOP + row * (BAR + GAP)
            colour = OURS if list[row][0].startswith("penstock") else THEIRS
            out.append(f'<rect x="{x}" y="{y}" width="{max(length, 1):.1f}" height="{BAR}" fill="{colour}"/>')
            out.append(f'<text x="{x + length + 5:.1f}" y="{y + BAR - 4}" font-size="11">{shown(value)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
